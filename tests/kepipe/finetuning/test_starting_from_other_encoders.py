"""An encoder that is no transformer: fine-tuning with knowledge, saving, predicting, and errors."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch

from kepipe.finetuning.marker_tokens import place_markers
from kepipe.finetuning.predictor import Predictor
from kepipe.inference.opening import KINDS, load_encoder, open_model, read_config
from kepipe.models import folder
from kepipe.models.pretrained import from_pretrained
from kepipe.models.protocols import EncoderConfig, ExtensibleVocabulary
from kepipe.stages.artifacts import FineTuned, Graph, Model
from kepipe.tokenization.tokenizer import load_tokenizer
from kepipe.tokenization.training import train_tokenizer
from tests.support.bilstm import KIND, BiLSTM, BiLSTMConfig
from tests.support.conflicts import error_message
from tests.support.tasks import FILLER, finetune, tokenizer, write_task
from tests.support.towns import OPPOSITE, SIDE, SYLLABLES, UNSEEN, strict_score, tune, write_world

AS_TEXT = {"method": "k-bert", "max_branches": 1, "soft_positions": False, "visible_matrix": False}


@pytest.fixture(autouse=True)
def kind(monkeypatch: pytest.MonkeyPatch) -> None:
    """The table's row, for the duration of a test."""
    monkeypatch.setitem(cast(dict[str, Any], KINDS), "bilstm", KIND)


def write_model(place: Path, words: Path, size: int) -> Model:
    torch.manual_seed(0)
    folder.save(place, BiLSTM(BiLSTMConfig(size, 32)), tokenizer=words)
    return Model(place, "digest", name="bilstm")


@pytest.fixture(scope="module")
def pieces(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place: Path = tmp_path_factory.mktemp("bpe")
    text = " ".join([*SYLLABLES, *FILLER, "north", "south", "lies", "in", "saw"])
    train_tokenizer([text] * 4, "bpe", 520).save(place)
    return place


@pytest.fixture(scope="module")
def bilstm(pieces: Path, tmp_path_factory: pytest.TempPathFactory) -> Model:
    size = load_tokenizer(pieces).vocab_size
    return write_model(tmp_path_factory.mktemp("model"), pieces, size)


def accuracy_on_unseen(made: FineTuned, truth: Mapping[str, str], graph: Path | None = None) -> float:
    """Accuracy on unseen towns."""
    texts = [f"we saw [[{name}|mention]] again" for name in UNSEEN]
    records = Predictor.open(made.folder, graph=graph).predict(texts)
    pairs = zip(records, UNSEEN, strict=True)
    return float(np.mean([next(iter(record["predicted"])) == truth[name] for record, name in pairs]))


def test_external_encoder_needs_only_config_and_token_table(bilstm: Model) -> None:
    assert isinstance(read_config(bilstm.folder), EncoderConfig)
    assert isinstance(load_encoder(bilstm.folder), ExtensibleVocabulary)
    assert open_model(bilstm.folder).encoder is not None


def test_external_encoder_uses_triples_as_text(bilstm: Model, tmp_path: Path) -> None:
    """For unseen towns it predicts what the graph says, and the opposite with a reversed graph."""
    graph, turned = write_world(tmp_path / "true", SIDE), write_world(tmp_path / "turned", OPPOSITE)
    inputs = {"graph": Graph(graph, ""), "start": bilstm}
    made = tune(tmp_path, "", inputs, base=None, tokenizer=None, knowledge=AS_TEXT)
    assert strict_score(made) > 0.95
    assert accuracy_on_unseen(made, SIDE) > 0.95
    assert accuracy_on_unseen(made, OPPOSITE, turned) > 0.95


def test_external_encoder_is_saved_with_markers_and_reloaded(tmp_path: Path) -> None:
    words = tokenizer()
    words.save(tmp_path / "words")
    start = write_model(tmp_path / "start", tmp_path / "words", words.vocab_size)
    data = write_task(tmp_path / "data", "relations")
    made = finetune(tmp_path / "stage", start, "relations", data)
    assert made.scores()["test"]["micro_f1"].value > 0.9
    assert json.loads((made.folder / "config.json").read_text())["format"] == "bilstm/1"
    written = [json.loads(line) for line in (made.folder / "predictions.jsonl").read_text().splitlines()]
    records = [record for record in written if record["split"] == "test"]
    sources = [json.loads(line) for line in Path(data["test"]).read_text().splitlines()]
    texts = []
    for source in sources:
        roles = {source["h"]["pos"][0]: "head", source["t"]["pos"][0]: "tail"}
        tokens = enumerate(source["token"])
        texts.append(
            " ".join(f"[[{word}|{roles[place]}]]" if place in roles else word for place, word in tokens)
        )
    again = Predictor.open(made.folder).predict(texts)
    assert [record["predicted"] for record in again] == [record["predicted"] for record in records]
    second = finetune(tmp_path / "second", made, "relations", data, epochs=1)
    markers = [json.loads((one.folder / "task.json").read_text())["markers"] for one in (made, second)]
    assert markers[0] == markers[1]


def test_markers_are_added_to_a_full_vocabulary(bilstm: Model, pieces: Path) -> None:
    before = load_encoder(bilstm.folder)
    size = before.config.vocabulary
    words = load_tokenizer(pieces)
    names = [f"[M{number}]" for number in range(len(words.sentinels) + 1)]
    model, markers = place_markers(load_encoder(bilstm.folder), words, names, seed=1)
    assert [*markers.values()] == [*range(size, size + len(names))]
    assert isinstance(model, BiLSTM)
    assert isinstance(before, BiLSTM)
    assert model.config.vocabulary == size + len(names)
    assert torch.equal(model.tokens.weight[:size], before.tokens.weight)
    assert (model.tokens.weight[size:].abs().sum(1) > 0).all()


@pytest.mark.parametrize(
    ("knowledge", "message"),
    [
        ("k-bert", "soft_positions: false, visible_matrix: false"),
        ("ernie-tsinghua", "adds layers to a transformer's encoder"),
    ],
)
def test_method_with_further_requirements_is_rejected(
    bilstm: Model, tmp_path: Path, knowledge: str, message: str
) -> None:
    inputs = {"graph": Graph(write_world(tmp_path / "graph", SIDE), ""), "start": bilstm}
    with pytest.raises(ValueError, match=message):
        tune(tmp_path, "", inputs, base=None, tokenizer=None, knowledge=knowledge)


def test_incompatible_encoder_is_reported_before_running(bilstm: Model, tmp_path: Path) -> None:
    data = write_task(tmp_path, "typing", 8, 8)["train"]
    stage = f"task: typing, data: {{train: {data}}}, base: {{from: {bilstm.folder}}}"
    graph = "  graph: {}\n"
    plain = error_message(tmp_path, f"{graph}  tune: {{use: finetune, {stage}}}\n")
    assert "tune" not in plain
    refused = error_message(tmp_path, f"{graph}  tune: {{use: finetune, {stage}, knowledge: k-bert}}\n")
    assert "`stages.tune.knowledge`: this model reads tokens in sequence" in refused
    pretrained = error_message(tmp_path, f"{graph}  pretrain: {{base: {{from: {bilstm.folder}}}}}\n")
    assert "no objective can train" in pretrained


def test_pretrain_rejects_an_external_encoder(bilstm: Model) -> None:
    with pytest.raises(ValueError, match="expected a transformer, found a model of kind bilstm/1"):
        from_pretrained(str(bilstm.folder))
