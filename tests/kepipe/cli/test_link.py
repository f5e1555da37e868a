import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from kepipe.cli import app
from kepipe.cli.link_files import batches
from kepipe.data.document import Document
from kepipe.linking.linker import Linker
from kg.schema import Entity, Relation, Triple
from kg.store import Graph
from kg.writer import write_graph
from tests.support.linking import ENTITIES, TRIPLES

TEXT = "She moved from Omaha to Lincoln, Nebraska, and to Leeds."


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> Graph:
    folder = tmp_path_factory.mktemp("places")
    return write_graph(folder, ENTITIES, [Relation("in", "in")], {"train": TRIPLES})


@pytest.fixture(scope="module")
def linker(graph: Graph, tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("linker")
    Linker.build(graph).save(folder)
    return str(folder)


@pytest.fixture
def gold(tmp_path: Path) -> Path:
    """Twelve texts; Mr York is not in the graph."""
    records = []
    for number in range(12):
        text = f"Mr York left Omaha for Leeds, Reading and Nebraska in {number}."
        names = {"York": "Q404", "Omaha": "omaha", "Leeds": "leeds", "Reading": "reading", "Nebraska": "ne"}
        marks = [
            {
                "start": text.index(name),
                "end": text.index(name) + len(name),
                "entity": entity,
                "type": "place",
            }
            for name, entity in names.items()
        ]
        records.append({"id": f"g{number}", "text": text, "mentions": marks})
    file = tmp_path / "gold.jsonl"
    file.write_text("".join(f"{json.dumps(record)}\n" for record in records))
    return file


def run(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["link", *arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_link_writes_files_as_json_lines(linker: str, tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text(TEXT)
    out = tmp_path / "linked.jsonl"
    assert "1 documents, 4 mentions" in run(
        str(tmp_path / "text.txt"), "-l", linker, "--rules", "-o", str(out)
    )
    record = json.loads(out.read_text())
    found = [
        (record["text"][mention["start"] : mention["end"]], mention["entity"])
        for mention in record["mentions"]
    ]
    assert found == [("Omaha", "omaha"), ("Lincoln", "lincoln-ne"), ("Nebraska", "ne"), ("Leeds", "leeds")]
    assert not list(tmp_path.glob("*.partial"))


def test_link_splits_very_long_texts_into_sections_and_batches(linker: str, tmp_path: Path) -> None:
    (tmp_path / "long.txt").write_text(f"Omaha lies far away{' and far away' * 80}.\n" * 1000)
    run(str(tmp_path / "long.txt"), "-l", linker, "--rules", "-o", str(tmp_path / "linked.jsonl"))
    records = [json.loads(line) for line in (tmp_path / "linked.jsonl").read_text().splitlines()]
    assert [record["id"] for record in records] == ["long#1", "long#2"]
    assert sum(len(record["mentions"]) for record in records) == 1000
    texts = ["a" * 400_000] * 4 + ["b"] * 300
    documents = [Document(str(number), text) for number, text in enumerate(texts)]
    assert [len(batch) for batch in batches(documents)] == [3, 256, 45]


def test_untrained_linker_learns_common_words_from_the_texts(tmp_path: Path) -> None:
    """Country codes are names too, but "In" at the start of a sentence is not one."""
    entities = [Entity("IN", "India", ("In", "in")), Entity("IT", "Italy", ("It", "it"))]
    write_graph(tmp_path / "graph", entities, [Relation("r", "r")], {"train": [Triple("IN", "r", "IT")]})
    text = "In Italy it rains. It often rains in India, and in Italy too it does."
    (tmp_path / "text.txt").write_text(text)
    run(
        str(tmp_path / "text.txt"),
        "-l",
        str(tmp_path / "graph"),
        "--rules",
        "-o",
        str(tmp_path / "out.jsonl"),
    )
    record = json.loads((tmp_path / "out.jsonl").read_text())
    found = [text[mention["start"] : mention["end"]] for mention in record["mentions"]]
    assert found == ["Italy", "India", "Italy"]


def test_link_explain_prints_candidates(linker: str) -> None:
    output = run("--explain", "From Lincoln to Leeds", "-l", linker, "--rules")
    assert "lincoln-uk" in output
    assert "linked" in output
    assert "contains no name" in run("--explain", "Nothing here", "-l", linker, "--rules")


@pytest.mark.parametrize("without", [["--rules"], ["--no-ner"], ["--language", "zh"]])
@pytest.mark.parametrize("command", ["texts", "score"])
def test_pronouns_need_english_and_ner(command: str, without: list[str], linker: str, gold: Path) -> None:
    result = CliRunner().invoke(app, ["link", command, str(gold), "-l", linker, "--pronouns", *without])
    assert result.exit_code == 2
    assert "needs English and NER" in result.output


def test_link_train_rejects_pronouns_without_ner(graph: Graph, gold: Path, tmp_path: Path) -> None:
    arguments = ["link", "train", str(graph.folder), "--gold", str(gold), "-o", str(tmp_path / "x")]
    result = CliRunner().invoke(app, [*arguments, "--pronouns", "--rules"])
    assert result.exit_code == 2
    assert "needs English and NER" in result.output
    assert not (tmp_path / "x").exists()


def test_link_train_learns_pronouns_only_with_ner(graph: Graph, tmp_path: Path) -> None:
    """Although the gold set links each of them: without NER there are no persons to resolve them to."""
    text = "Mr York left Omaha. He saw Leeds, and he saw Reading, Lincoln and Nebraska."
    names = {
        "Omaha": "omaha",
        "Leeds": "leeds",
        "Reading": "reading",
        "Nebraska": "ne",
        "Lincoln": "lincoln-ne",
    }
    spans = [(text.index(name), text.index(name) + len(name), entity) for name, entity in names.items()]
    spans += [(found.start(), found.end(), "Q404") for found in re.finditer(r"\b[Hh]e\b", text)]
    marks = [{"start": start, "end": end, "entity": entity} for start, end, entity in spans]
    records = [{"text": f"{text} {number}", "mentions": marks} for number in range(12)]
    gold = tmp_path / "gold.jsonl"
    gold.write_text("".join(f"{json.dumps(record)}\n" for record in records))
    for asked in (["--rules"], ["--no-ner"]):
        output = run("train", str(graph.folder), "--gold", str(gold), *asked, "-o", str(tmp_path / "x"))
        assert "pronouns: not linked" in output
        assert not Linker.open(tmp_path / "x").marks.pronouns
    output = run("train", str(graph.folder), "--gold", str(gold), "-o", str(tmp_path / "x"))
    assert "pronouns: linked" in output


def test_link_train_learns_to_join_a_place_with_its_region(graph: Graph, tmp_path: Path) -> None:
    records = []
    for number in range(12):
        text = f"Mr York left Omaha, Nebraska for Leeds and Reading in {number}."
        names = {"York": "Q404", "Omaha, Nebraska": "omaha", "Leeds": "leeds", "Reading": "reading"}
        marks = [
            {"start": text.index(name), "end": text.index(name) + len(name), "entity": entity}
            for name, entity in names.items()
        ]
        records.append({"id": f"g{number}", "text": text, "mentions": marks})
    gold, out, scores = (tmp_path / name for name in ("gold.jsonl", "trained", "scores.json"))
    gold.write_text("".join(f"{json.dumps(record)}\n" for record in records))
    output = run("train", str(graph.folder), "--gold", str(gold), "--rules", "-o", str(out))
    assert "a place with its region: one mention" in output
    run("score", str(gold), "-l", str(out), "--rules", "--json", str(scores))
    assert json.loads(scores.read_text())["gold"]["linker"]["in_graph"]["f1"] == 1.0
    run("score", str(gold), "-l", str(out), "--rules", "--no-join", "--json", str(scores))
    assert json.loads(scores.read_text())["gold"]["linker"]["in_graph"]["recall"] == pytest.approx(2 / 3)


def test_link_train_and_score_on_gold_texts(graph: Graph, gold: Path, tmp_path: Path) -> None:
    out, page, scores = tmp_path / "trained", tmp_path / "page.html", tmp_path / "scores.json"
    output = run("train", str(graph.folder), "--gold", str(gold), "--rules", "-o", str(out))
    assert "trained on 12 texts, 48 links" in output
    run("score", str(gold), "-l", str(out), "--rules", "--html", str(page), "--json", str(scores))
    found = json.loads(scores.read_text())["gold"]
    assert found["linker"]["in_graph"]["f1"] == 1.0
    assert found["linker"]["outside"]["f1"] == 1.0
    assert found["exact names, likeliest"]["mistakes"] == {"not in the graph": 12}
    assert "F1 1.000 on gold" in page.read_text()


def test_gold_sets_with_one_file_name_are_listed_by_path(linker: str, gold: Path, tmp_path: Path) -> None:
    other = tmp_path / "other" / "gold.jsonl"
    other.parent.mkdir()
    other.write_text(gold.read_text())
    scores = tmp_path / "scores.json"
    run("score", str(gold), str(other), "-l", linker, "--rules", "--json", str(scores))
    assert list(json.loads(scores.read_text())) == [str(gold), str(other)]
    result = CliRunner().invoke(app, ["link", "score", str(gold), "-l", linker, "--rules"]).stderr
    assert re.search(r"^taken: texts: \d+ \(kepipe \d+\)$", result, re.MULTILINE), result


def test_invalid_gold_lines_are_reported(linker: str, tmp_path: Path) -> None:
    (tmp_path / "gold.jsonl").write_text("junk\n")
    result = CliRunner().invoke(app, ["link", "score", str(tmp_path / "gold.jsonl"), "-l", linker, "--rules"])
    assert "gold.jsonl:1: not JSON" in result.output
    assert "no mention is annotated" in str(result.exception)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["text.txt", "absent.txt", "-o", "out.jsonl"], "absent.txt: no such file"),
        (["text.txt", "-o", "absent/out.jsonl"], "the folder absent does not exist"),
        (["text.txt", "-o", "folder"], "folder: is a folder"),
        (["doctor", "text.txt", "--html", "absent/page.html"], "the folder absent does not exist"),
        (["score", "text.txt", "--json", "absent/scores.json"], "the folder absent does not exist"),
    ],
)
def test_unreadable_inputs_and_outputs_are_rejected_first(
    linker: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.txt").write_text(TEXT)
    (tmp_path / "folder").mkdir()
    with pytest.raises(ValueError, match=message):
        CliRunner().invoke(app, ["link", *arguments, "-l", linker, "--rules"], catch_exceptions=False)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder", "text.txt"]


def test_link_train_uses_duplicate_texts_once(graph: Graph, gold: Path, tmp_path: Path) -> None:
    gold.write_text(gold.read_text() * 2)
    output = run("train", str(graph.folder), "--gold", str(gold), "--rules", "-o", str(tmp_path / "out"))
    assert "trained on 12 texts" in output


def test_link_train_does_not_overwrite_a_file(graph: Graph, gold: Path) -> None:
    with pytest.raises(ValueError, match="is a file; choose a folder"):
        CliRunner().invoke(
            app,
            ["link", "train", str(graph.folder), "--gold", str(gold), "-o", str(gold), "--rules"],
            catch_exceptions=False,
        )


def test_link_train_without_excludes_the_given_texts(graph: Graph, gold: Path, tmp_path: Path) -> None:
    arguments = ["link", "train", str(graph.folder), "--gold", str(gold), "--without", str(gold)]
    with pytest.raises(
        ValueError, match="without the texts of --without: no mention is annotated in its 0 texts"
    ):
        CliRunner().invoke(app, [*arguments, "--rules", "-o", str(tmp_path / "x")], catch_exceptions=False)


def test_link_doctor_explains_missing_links(linker: str, tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text("He saw Nebrasca, then Omaha.")
    page = tmp_path / "page.html"
    output = run("doctor", str(tmp_path / "text.txt"), "-l", linker, "--rules", "--html", str(page))
    assert "no alias" in output
    assert "Nebraska" in page.read_text()


def test_link_doctor_has_the_options_of_linking(linker: str, tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text("He saw Nebrasca, then Omaha.")
    diagnose = ("doctor", str(tmp_path / "text.txt"), "-l", linker, "--rules")
    options = ("--join", "--marks", "wiki", "--no-pronouns", "--gate", "--fuzzy", "80", "--threshold", "0.1")
    assert "[Nebrasca]" in run(*diagnose)
    assert "[Nebrasca]" not in run(*diagnose, *options)
    refused = CliRunner().invoke(app, ["link", *diagnose, "--pronouns"])
    assert refused.exit_code == 2


def test_folder_that_is_no_linker_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"neither a linker .* nor a stored graph"):
        CliRunner().invoke(
            app, ["link", "--explain", "x", "-l", str(tmp_path), "--rules"], catch_exceptions=False
        )


def test_dense_adds_a_view_to_a_linker(graph: Graph, linker: str, tmp_path: Path) -> None:
    extended = str(tmp_path / "dense")
    output = run("dense", str(graph.folder), "-l", linker, "-o", extended, "--steps", "3")
    assert "trained in 3 steps" in output
    assert "% of the pairs of the last 3 steps" in output
    view = Linker.open(tmp_path / "dense").dense
    assert view is not None
    assert f"vectors of {len(view.names)} names" in output
    assert "lincoln-ne" in run("--explain", "Lincoln is near Omaha.", "-l", extended, "--rules")
    assert "not trained" in run("dense", str(graph.folder), "-o", str(tmp_path / "plain"), "--steps", "0")
    other = write_graph(tmp_path / "other", [Entity("io", "Io")], [], {})
    refused = CliRunner().invoke(
        app, ["link", "dense", str(other.folder), "-l", linker, "-o", str(tmp_path / "x")]
    )
    assert refused.exit_code
    assert "a linker of another graph" in str(refused.exception) + refused.output
