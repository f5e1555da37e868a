"""The task `entity-linking`: a model that finds the mentions of a graph's entities, learned from a linked text."""

from __future__ import annotations

import itertools
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from kepipe.cli import app
from kepipe.data.document_files import held_out
from kepipe.finetuning.conll import OUTSIDE
from kepipe.finetuning.entity_index import EntityIndex
from kepipe.finetuning.entity_linking import TASK, read, words
from kepipe.finetuning.evaluation import answers
from kepipe.finetuning.fine_tuned import load
from kepipe.finetuning.link_head import LinkHead
from kepipe.finetuning.link_output import _links
from kepipe.finetuning.markup import ask
from kepipe.finetuning.predictor import Predictor
from kepipe.finetuning.rows import Candidates
from kepipe.finetuning.splits import Data
from kepipe.finetuning.table import TASKS
from kepipe.models.base import Base, build
from kepipe.models.folder import save
from kepipe.stages.artifacts import FineTuned, Graph, Linked, Model
from kepipe.stages.finetune import FINETUNE
from kepipe.tokenization.training import train_tokenizer
from kg.problems import Problems
from tests.support import linked
from tests.support.conflicts import error_message
from tests.support.tasks import SETTINGS, finetune

PLANET, METAL = "we saw Mercury turn around the sun", "a drop of Mercury is a liquid and heavy"
BOAT = "the long boat Titan sank that day"


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> Graph:
    return Graph(linked.graph(tmp_path_factory.mktemp("graph") / "graph"), "graph", name="graph")


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Model:
    folder = tmp_path_factory.mktemp("bert")
    described = " ".join(entity.description for entity in linked.ENTITIES)
    tokenizer = train_tokenizer([f"{linked.words()} {described}"] * 4, "wordpiece", 320)
    tokenizer.save(folder)
    base = Base.model_validate({"family": "bert", "layers": 1, "hidden": 32, "heads": 2})
    save(
        folder,
        build(base, tokenizer.vocab_size, 1, special={"pad": tokenizer.pad, "sep": tokenizer.sep}),
        tokenizer=folder,
    )
    return Model(folder, "bert", name="pretrain")


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("data")
    sizes = {"train": 20, "dev": 20, "test": 40}
    return {
        split: str(linked.write_documents(folder / f"{split}.jsonl", size, seed))
        for seed, (split, size) in enumerate(sizes.items())
    }


@pytest.fixture(scope="module")
def made(
    tmp_path_factory: pytest.TempPathFactory, bert: Model, data: dict[str, str], graph: Graph
) -> FineTuned:
    folder = tmp_path_factory.mktemp("made")
    return finetune(folder, bert, "entity-linking", data, None, {"graph": graph}, epochs=30)


@pytest.fixture(scope="module")
def predictor(made: FineTuned) -> Predictor:
    return Predictor.open(made.folder)


def entities(record: dict[str, Any]) -> list[tuple[str, str]]:
    return [(mention["text"], mention["entity"]) for mention in record["mentions"]]


def test_twenty_documents_are_learned(made: FineTuned) -> None:
    scores = made.scores()["test"]
    assert scores.keys() == set(TASK.metrics)
    assert scores["link_f1"].value == 1.0
    assert scores["candidate_recall"].value == 1.0
    assert scores["mention_f1"].value > 0.8


def test_context_decides_which_entity_a_name_means_and_whether_it_means_one(predictor: Predictor) -> None:
    """`Mercury` is a planet or a metal; the boat `Titan` is none of the graph's entities."""
    planet, metal, boat = predictor.predict([PLANET, METAL, BOAT])
    assert entities(planet) == [("Mercury", "planet")]
    assert entities(metal) == [("Mercury", "metal")]
    assert entities(boat) == []
    assert planet["predicted"][2] == metal["predicted"][3] == "B-ENTITY"
    assert {planet["predicted"][3], metal["predicted"][4]} == {OUTSIDE}


def test_spans_refer_to_the_text_without_markup(predictor: Predictor) -> None:
    marked, plain = predictor.predict([PLANET.replace("Mercury", "[[Mercury]]"), PLANET])
    (mention,) = marked["mentions"]
    assert marked["text"] == PLANET
    assert marked["text"][mention["start"] : mention["end"]] == "Mercury"
    assert "text" not in plain


def test_predictions_are_those_of_the_stage_whatever_the_batch(made: FineTuned, data: dict[str, str]) -> None:
    tuned = load(made.folder)
    examples = list(read(Path(data["test"]), Problems(strict=True)))
    rows = tuned.rows([replace(example, labels=None) for example in examples])
    alone, together = (answers(tuned.model, tuned.collator, rows, size) for size in (1, 8192))
    assert [[link[:3] for link in answer.links] for answer in alone] == [
        [link[:3] for link in answer.links] for answer in together
    ]
    assert all((a.labels == b.labels).all() for a, b in zip(alone, together, strict=True))
    lines = map(json.loads, (made.folder / "predictions.jsonl").read_text().splitlines())
    written = [entities(record) for record in lines if record["split"] == "test"]
    assert written == [
        entities(TASK.as_record(example, answer, tuned.spec.labels))
        for example, answer in zip(examples, together, strict=True)
    ]


def test_long_documents_are_read_in_windows(predictor: Predictor) -> None:
    """Rows have 32 tokens; windows share a third by default, and each mention is linked once."""
    filler = " again . they say of old ." * 6
    galileo, pisa = "and then Galileo Galilei saw them all", "it was a day in Pisa with rain"
    text = filler.join([galileo, pisa, pisa, galileo, pisa])
    (record,) = predictor.predict([text])
    assert entities(record) == [
        (name, name.split()[0].lower())
        for name in ("Galileo Galilei", "Pisa", "Pisa", "Galileo Galilei", "Pisa")
    ]
    assert len(predictor.fine_tuned.rows([ask("entity-linking", text, "en", "x")])) > 6
    assert all(text[m["start"] : m["end"]] == m["text"] for m in record["mentions"])
    assert predictor.fine_tuned.spec.overlap == SETTINGS["length"] // 3


def test_predicted_documents_are_scored_like_linked_ones(
    made: FineTuned, data: dict[str, str], tmp_path: Path
) -> None:
    out, scores = tmp_path / "out.jsonl", tmp_path / "scores.json"
    runner = CliRunner()
    done = runner.invoke(app, ["predict", str(made.folder), "--file", data["test"], "--out", str(out)])
    assert done.exit_code == 0, done.output
    linker = str(made.folder / "entities")
    words = ["link", "score", data["test"], "-l", linker, "--rules", "--links"]
    done = runner.invoke(app, [*words, str(out), "--json", str(scores)])
    assert done.exit_code == 0, done.output
    found = json.loads(scores.read_text())["test"]
    assert found["links"]["in_graph"]["f1"] == 1.0
    assert found["links"]["in_graph"]["f1"] > found["exact names, likeliest"]["in_graph"]["f1"]
    refused = runner.invoke(app, [*words, data["train"]])
    assert "none of the linked documents has this text" in str(refused.exception)


def test_links_of_a_linked_text_are_the_data(
    bert: Model, graph: Graph, made: FineTuned, tmp_path: Path
) -> None:
    """Without `data:`. Given links are ignored, `dev` is the held-out part; the index is the text's linker."""
    folder = tmp_path / "linked"
    shutil.copytree(made.folder / "entities", folder / "linker")
    linked.write_documents(folder / "documents.jsonl", 40, 0)
    documents = [json.loads(line) for line in (folder / "documents.jsonl").read_text().splitlines()]
    given = [{"start": 0, "end": 3, "entity": "none"}]
    lines = (json.dumps({**document, "gold": given}) + "\n" for document in documents)
    (folder / "documents.jsonl").write_text("".join(lines))
    (folder / "corpus.json").write_text(json.dumps({"held_out_share": 0.4, "documents": 40}))
    inputs = {"graph": graph, "linked": Linked(folder, "linked", name="link")}
    student = finetune(tmp_path / "stage", bert, "entity-linking", None, None, inputs, epochs=1)  # type: ignore[arg-type]
    assert student.scores().keys() == {"dev"}
    names = (folder / "linker" / "linker.json", student.folder / "entities" / "linker.json")
    assert names[0].read_bytes() == names[1].read_bytes()
    predicted = [json.loads(line) for line in (student.folder / "predictions.jsonl").read_text().splitlines()]
    assert {record["id"] for record in predicted} == {
        document["id"] for document in documents if held_out(document["id"], 0.4)
    }
    by_id = {document["id"]: document["mentions"] for document in documents}
    for record in predicted:
        assert sum(label.startswith("B-") for label in record["labels"]) == len(by_id[record["id"]])


def test_links_are_in_order_and_do_not_overlap_whatever_the_order_of_names(predictor: Predictor) -> None:
    """Names of several windows come window by window: one may begin before the last ones of the window before."""
    tuned = predictor.fine_tuned
    head, index = tuned.model.head, tuned.resource
    assert isinstance(head, LinkHead)
    assert isinstance(index, EntityIndex)
    spans = np.array([[1, 1], [3, 3], [1, 4], [4, 6], [0, 1], [6, 6]])
    rng = np.random.default_rng(0)
    links_found = 0
    for _ in range(30):
        entities, features = rng.integers(0, 4, len(spans)), rng.normal(size=(len(spans), len(head.features)))
        names = Candidates(spans, np.arange(len(spans)), entities, features.astype(np.float32), None)
        values = rng.normal(scale=3, size=(7, head.labels + 2 * head.width))
        links = _links(tuned.model, values, names, index)
        links_found += len(links)
        assert all(link.last < after.first for link, after in itertools.pairwise(links))
    assert links_found > 30


def test_a_damaged_index_is_refused(made: FineTuned, tmp_path: Path) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(made.folder, folder)
    np.save(folder / "entities" / "vectors.npy", np.zeros((2, 3), np.float16))
    with pytest.raises(
        ValueError, match=r"vectors\.npy: expected float16 \[6, width\], found float16 \[2, 3\]"
    ):
        load(folder)
    np.save(folder / "entities" / "vectors.npy", np.array([{}]), allow_pickle=True)
    with pytest.raises(ValueError, match="damaged"):
        load(folder)
    shutil.rmtree(folder / "entities")
    with pytest.raises(ValueError, match="not a linker"):
        load(folder)


def test_gold_sets_are_read_within_their_evaluation_span(tmp_path: Path) -> None:
    marks = [(0, 4, "pisa"), (8, 23, "galileo"), (16, 23, "galilei"), (28, 33, "rain")]
    record = {
        "id": "g",
        "text": "Pisa or Galileo Galilei and Titan",
        "gold": [{"start": start, "end": end, "entity": entity} for start, end, entity in marks],
        "evaluation_span": [5, 33],
    }
    file = tmp_path / "gold.jsonl"
    file.write_text(json.dumps(record) + "\n" + '{"text": ""}\n')
    problems = Problems()
    (example,) = read(file, problems)
    assert problems.count == 1
    assert [(example.text[m.start : m.end], m.entity) for m in example.links] == [
        ("Galileo Galilei", "galileo"),
        ("Titan", "rain"),
    ]
    assert example.labels == ("O", "B-ENTITY", "I-ENTITY", "O", "B-ENTITY")


def test_words_are_chinese_characters_and_words_of_other_scripts() -> None:
    text = "他在New York, 1990年_x"
    found = [text[start:end] for start, end in words(text)]
    assert found == ["他", "在", "New", "York", ",", "1990", "年", "_x"]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ("task: entity-linking", "inputs: {linked: link}"),
        ("task: entity-linking, data: {train: x.jsonl}, knowledge: k-bert", "finds the entities itself"),
    ],
)
def test_invalid_entity_linking_settings_are_rejected(tmp_path: Path, settings: str, said: str) -> None:
    (tmp_path / "x.jsonl").write_text("")
    stages = f"  finetune: {{base: {{from: minilm}}, {settings}}}\n"
    assert said in error_message(tmp_path, stages)


def test_entity_linking_needs_mentions_and_a_graph(bert: Model, graph: Graph, tmp_path: Path) -> None:
    file = tmp_path / "train.jsonl"
    file.write_text('{"text": "we saw rain"}\n{"text": "again and again"}\n')
    data = {"train": str(file), "dev": str(file)}
    with pytest.raises(ValueError, match="no text of the training data has a mention"):
        finetune(tmp_path / "none", bert, "entity-linking", data, None, {"graph": graph})
    data = {"train": str(linked.write_documents(file, 4, 0)), "dev": str(file)}
    with pytest.raises(ValueError, match="needs the graph"):
        finetune(tmp_path / "graph", bert, "entity-linking", data)
    assert TASKS["entity-linking"].resource is not None
    assert Data.model_validate(data).files().keys() == {"train", "dev"}
    assert FINETUNE.needs(FINETUNE.config.model_validate({"task": "entity-linking", "data": data}), {}) == (
        "graph",
    )
