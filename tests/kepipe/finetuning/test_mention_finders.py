"""Knowledge for unseen entities: predictions follow the graph's triples, or the entity vectors."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import mlflow.pyfunc
import numpy as np
import pytest
from typer.testing import CliRunner

from kepipe.cli import app
from kepipe.finetuning.predictor import Predictor
from kepipe.knowledge.base import KNOWLEDGE_FILE
from kepipe.knowledge.ernie_tsinghua.vectors import FILES, EntityVectors
from kepipe.stages.artifacts import FineTuned, Graph, Vectors
from kepipe.tokenization.training import train_tokenizer
from kepipe.tracking import pyfunc
from kg.schema import Entity, Relation, Triple
from kg.vectors import save_vectors
from kg.writer import write_graph
from tests.support.tasks import FILLER
from tests.support.towns import NAMES, OPPOSITE, SIDE, SYLLABLES, UNSEEN, strict_score, tune, write_world


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("words")
    text = " ".join([*SYLLABLES, *FILLER, "north", "south", "lies", "in", "saw"])
    train_tokenizer([text] * 4, "wordpiece", 300).save(folder)
    return str(folder)


@pytest.fixture(scope="module")
def injected(tmp_path_factory: pytest.TempPathFactory, words: str) -> FineTuned:
    root = tmp_path_factory.mktemp("injected")
    graph = Graph(write_world(root / "graph", SIDE), "")
    return tune(root, words, {"graph": graph}, knowledge={"method": "k-bert", "max_branches": 1})


def test_injected_triples_generalise_to_unseen_entities(
    injected: FineTuned, words: str, tmp_path: Path
) -> None:
    assert strict_score(injected) > 0.95
    assert strict_score(tune(tmp_path, words, {})) < 0.75  # the same without the graph


def test_the_graph_can_be_swapped_without_training(injected: FineTuned, tmp_path: Path) -> None:
    """The model uses the triples: a graph with opposite facts reverses its predictions."""
    texts = [f"we saw [[{name}|mention]] again" for name in UNSEEN]
    swapped = write_world(tmp_path / "other", OPPOSITE)
    found = [
        [
            next(iter(record["predicted"]))
            for record in Predictor.open(injected.folder, graph=graph).predict(texts)
        ]
        for graph in (None, swapped)
    ]
    for answers, truth in zip(found, (SIDE, OPPOSITE), strict=True):
        assert np.mean([answer == truth[name] for answer, name in zip(answers, UNSEEN, strict=True)]) > 0.95


def test_mlflow_model_finds_entities_and_injects_triples(injected: FineTuned, tmp_path: Path) -> None:
    pyfunc.write(injected.folder, tmp_path / "model", "m-0", "r")
    table = mlflow.pyfunc.load_model(str(tmp_path / "model")).predict(
        [f"we saw [[{name}|mention]] again" for name in UNSEEN]
    )
    answers = [json.loads(each) for each in table["answer"]]
    assert [each["entities"][0]["entity"] for each in answers] == [f"Q{name}" for name in UNSEEN]
    predicted = [next(iter(each["predicted"])) for each in answers]
    assert np.mean([answer == SIDE[name] for answer, name in zip(predicted, UNSEEN, strict=True)]) > 0.95


def test_predict_command_finds_the_entity(injected: FineTuned, tmp_path: Path) -> None:
    """It finds and reports the entity, and predicts."""
    name = UNSEEN[0]
    (tmp_path / "texts.txt").write_text(f"we saw [[{name}|mention]] again\n")
    result = CliRunner().invoke(
        app, ["predict", str(injected.folder), "--json", "-f", str(tmp_path / "texts.txt")]
    )
    record = json.loads(result.stdout)
    assert next(iter(record["predicted"])) == SIDE[name]
    assert record["entities"] == [
        {"start": 7, "end": 7 + len(name), "text": name, "entity": f"Q{name}", "known": True}
    ]
    result = CliRunner().invoke(app, ["predict", str(injected.folder), f"[[{name}]] and rain"])
    assert result.stdout.startswith(SIDE[name])
    assert f"{name} → Q{name}" in result.stdout


def test_predict_knowledge_option_adds_a_method(injected: FineTuned, tmp_path: Path) -> None:
    """A folder without knowledge gets some by an option: a name, or settings as in a stage."""
    plain, graph = tmp_path / "plain", write_world(tmp_path / "graph", SIDE)
    shutil.copytree(injected.folder, plain, ignore=shutil.ignore_patterns(KNOWLEDGE_FILE, "graph"))
    texts = [f"we saw [[{name}|mention]] again" for name in UNSEEN[:40]]

    def answers(*options: str) -> list[str]:
        asked = CliRunner().invoke(app, ["predict", str(plain), *texts, "--json", *options])
        assert asked.exception is None, asked.exception
        return [next(iter(json.loads(line)["predicted"])) for line in asked.stdout.splitlines()]

    def share(found: list[str]) -> float:
        return float(np.mean([answer == SIDE[name] for answer, name in zip(found, UNSEEN, strict=False)]))

    assert share(answers()) < 0.8
    for option in (
        "{method: k-bert, max_branches: 1}",
        '[{"method": "k-bert", "max_branches": 1}]',
        "k-bert",
    ):
        assert share(answers("--knowledge", option, "--graph", str(graph))) > 0.95


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("k-brt", "unknown knowledge method 'k-brt'; did you mean `k-bert`"),
        ("{method: k-bert, length: 2}", "--knowledge: `knowledge.length`: expected a number from 8"),
        ("k-bert", r"brings no graph for k-bert: give it (--graph)"),
        ("ernie-tsinghua", "has no weights for ernie-tsinghua"),
        ("{", "--knowledge: '{': not valid YAML: "),
        ("&a [*a]", "--knowledge: '&a [*a]': `0`: an alias of what it stands in"),
    ],
)
def test_unusable_knowledge_option_is_rejected(
    injected: FineTuned, tmp_path: Path, option: str, message: str
) -> None:
    plain = tmp_path / "plain"
    shutil.copytree(injected.folder, plain, ignore=shutil.ignore_patterns(KNOWLEDGE_FILE, "graph"))
    asked = CliRunner().invoke(app, ["predict", str(plain), "[[x]]", "--knowledge", option])
    assert message in str(asked.exception)


def test_unmarked_text_error_shows_how_to_mark_it(injected: FineTuned) -> None:
    with pytest.raises(
        ValueError, match=r"text 1: typing asks for a text with the mention marked, such as `\[\[Warsaw"
    ):
        Predictor.open(injected.folder).predict(["nothing is marked"])


def test_model_tuned_without_entities_ignores_them(words: str, tmp_path: Path) -> None:
    graph = write_world(tmp_path / "graph", SIDE)
    made = tune(
        tmp_path / "w",
        words,
        {"graph": Graph(graph, "")},
        knowledge={"method": "k-bert", "max_branches": 1},
        mentions="none",
        epochs=1,
    )
    texts = [f"we saw [[{UNSEEN[0]}|mention]] again"]
    assert "entities" not in next(iter(Predictor.open(made.folder).predict(texts)))
    assert next(iter(Predictor.open(made.folder, graph=graph).predict(texts)))["entities"]


def grown_graph(folder: Path) -> Path:
    """Two towns that came after the vectors were made, each near five towns of its side."""
    towns = {"badokilu": "north", "suranome": "south"}
    known = [(new, old) for new, at in towns.items() for old in [n for n in NAMES if SIDE[n] == at][:5]]
    entities = [Entity(f"Q{name}", name) for name in [*towns, *{old for _, old in known}]]
    facts = [Triple(f"Q{new}", "near", f"Q{old}") for new, old in known]
    write_graph(folder, entities, [Relation("near", "near")], {"train": facts})
    return folder


def check_composed_vectors_of_new_entities(made: FineTuned, folder: Path) -> None:
    """The graph grew after training: composed vectors are used if asked for."""
    graph = grown_graph(folder / "grown")
    texts = ["we saw [[badokilu|mention]]", "we saw [[suranome|mention]]"]
    answers = Predictor.open(made.folder, graph=graph, unknown="compose").predict(texts)
    assert [next(iter(record["predicted"])) for record in answers] == ["north", "south"]
    assert [record["entities"][0]["known"] for record in answers] == [True, True]
    without = Predictor.open(made.folder, graph=graph).predict(texts)
    assert [record["entities"][0]["known"] for record in without] == [False, False]
    result = CliRunner().invoke(
        app, ["predict", str(made.folder), texts[0], "--graph", str(graph), "--unknown", "compose"]
    )
    assert result.stdout.startswith("north")
    with pytest.raises(ValueError, match="needs a graph that has the entities"):
        Predictor.open(made.folder, unknown="compose")


def test_composed_vectors_are_used_in_training_and_saved(words: str, tmp_path: Path) -> None:
    table = np.random.default_rng(0).standard_normal((len(NAMES), 16)).astype(np.float32)
    save_vectors(
        tmp_path / "vectors", [f"Q{name}" for name in NAMES], table, np.ones((1, 16), np.float32), ["near"]
    )
    inputs = {
        "vectors": Vectors(tmp_path / "vectors", ""),
        "neighbours": Graph(grown_graph(tmp_path / "grown"), "digest"),
    }
    base = {"layers": 1, "hidden": 16, "heads": 2}
    knowledge = {"method": "ernie-tsinghua", "entity_heads": 2}
    made = tune(tmp_path, words, inputs, base=base, knowledge=knowledge, epochs=1)
    kept = EntityVectors.open(made.folder)
    north = [NAMES.index(name) for name in NAMES if SIDE[name] == "north"][:5]
    np.testing.assert_allclose(kept.table()[kept.rows(["Qbadokilu"])[0]], table[north].mean(0) - 1, rtol=1e-5)
    assert (made.folder / "relations.txt").read_text() == "near\n"
    assert json.loads((made.folder / "kepipe.json").read_text())["neighbours"] == "digest"


def check_vectors_option(made: FineTuned, ids: list[str], table: np.ndarray, folder: Path) -> None:
    """`--vectors` replaces the folder's vectors, and a folder without any needs it."""
    save_vectors(folder / "turned", ids, -table)
    bare = folder / "bare"
    shutil.copytree(made.folder, bare, ignore=shutil.ignore_patterns(KNOWLEDGE_FILE, *FILES))
    texts = [f"we saw [[{name}|mention|Q{name}]]" for name in UNSEEN[:20]]

    def answers(model: Path, *options: str) -> list[str]:
        asked = CliRunner().invoke(app, ["predict", str(model), *texts, "--json", *options])
        assert asked.exception is None, asked.exception
        return [next(iter(json.loads(line)["predicted"])) for line in asked.stdout.splitlines()]

    own, other = answers(made.folder), answers(made.folder, "--vectors", str(folder / "turned"))
    assert np.mean([ours != theirs for ours, theirs in zip(own, other, strict=True)]) > 0.9
    option = ("--knowledge", "ernie-tsinghua")
    assert answers(bare, *option, "--vectors", str(made.folder)) == own
    refused = CliRunner().invoke(app, ["predict", str(bare), *texts, *option])
    assert "brings no vectors for ernie-tsinghua: give it (--vectors)" in str(refused.exception)


def check_ids_without_a_linker(made: FineTuned) -> None:
    """A folder without linker and graph takes the entity ids that the user gives."""
    for text, told in (("we saw [[badokilu|mention]]", True), (f"we saw [[x|mention|Q{NAMES[0]}]]", False)):
        asked = CliRunner().invoke(app, ["predict", str(made.folder), text])
        assert asked.exception is None
        assert ("no entities were used" in asked.stderr) is told


def test_fused_vectors_generalise_to_unseen_entities(words: str, tmp_path: Path) -> None:
    """The first half of each vector encodes the side. With shuffled vectors the score falls."""
    rng = np.random.default_rng(0)
    table = rng.normal(0, 0.1, (len(NAMES), 16)).astype(np.float32)
    table[:, :8] += np.array([[1.0 if SIDE[name] == "north" else -1.0] for name in NAMES], np.float32)
    scores = {}
    for kind, order in (("true", np.arange(len(NAMES))), ("shuffled", rng.permutation(len(NAMES)))):
        folder = tmp_path / kind
        ids, near = [f"Q{name}" for name in NAMES], np.zeros((1, 16), np.float32)
        save_vectors(folder / "vectors", ids, table[order], near, ["near"])
        knowledge = {"method": "ernie-tsinghua", "first": 1, "entity_heads": 2}
        made = tune(folder, words, {"vectors": Vectors(folder / "vectors", "")}, knowledge=knowledge)
        scores[kind] = strict_score(made)
        if kind == "true":  # the folder predicts alone, from the entity that the user names
            name = UNSEEN[1]
            answers = Predictor.open(made.folder).predict(
                [f"we saw [[{name}|mention|Q{name}]]", f"we saw [[{name}|mention|Q-no]]"]
            )
            assert next(iter(answers[0]["predicted"])) == SIDE[name]
            assert [record["entities"][0]["known"] for record in answers] == [True, False]
            check_composed_vectors_of_new_entities(made, tmp_path)
            check_vectors_option(made, ids, table, tmp_path)
            check_ids_without_a_linker(made)
    assert scores["true"] > 0.95
    assert scores["shuffled"] < 0.75
