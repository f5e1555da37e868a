"""ELMo from its settings to a model folder: trained in streams, interrupted and resumed, scored, and fine-tuned."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from safetensors.torch import load_file

from kepipe.config import ConfigConflict
from kepipe.data.batch import Batch
from kepipe.data.shards import open_shard
from kepipe.finetuning.export import export
from kepipe.finetuning.marker_tokens import place_markers
from kepipe.finetuning.predictor import Predictor
from kepipe.inference.opening import load_encoder, open_model, read_config
from kepipe.models.elmo.family import ELMO, ElmoBase
from kepipe.models.elmo.model import Elmo
from kepipe.models.protocols import NextTokenModel
from kepipe.stages.artifacts import Model, Shards
from kepipe.stages.pretrain import PRETRAIN
from kepipe.tokenization.table import KINDS
from kepipe.tokenization.tokenizer import load_tokenizer
from kepipe.tokenization.word_level import word_level_tokenizer
from kepipe.tracking.predictors import predictor_of
from tests.support.elmo import batch_of, small_model
from tests.support.pretraining import SMALL, write_shards
from tests.support.tasks import finetune, write_task
from tests.support.toy_training import EventRecorder, context_in

TINY = {"family": "elmo", "size": "tiny", "cell": 24, "projection": 16}
SETTINGS: dict[str, Any] = {
    **SMALL,
    "base": TINY,
    "objective": "bidirectional-lm",
    "format": "packed",
    "streams": True,
    "length": 16,
    "batch_tokens": 256,
    "steps": 30,
    "learning_rate": 1e-2,
    "eval_every": 15,
    "log_every": 5,
}


@pytest.fixture(scope="module")
def words(tmp_path_factory: pytest.TempPathFactory) -> Shards:
    """Text whose rarer words are spelled out."""
    return write_shards(tmp_path_factory.mktemp("words"), kind="words-or-bytes", size=376)


def pretrain(shards: Shards, folder: Path, **changes: Any) -> tuple[Path, EventRecorder]:
    recorder = EventRecorder()
    context = context_in(folder, recorder, 0)
    PRETRAIN.run(PRETRAIN.inputs(shards), PRETRAIN.config.model_validate(SETTINGS | changes), context)
    return context.out, recorder


@pytest.fixture(scope="module")
def trained(words: Shards, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, EventRecorder]:
    return pretrain(words, tmp_path_factory.mktemp("trained"))


@pytest.mark.parametrize(("kind", "notes"), [("words", 1), ("wordpiece", 0), ("words-or-bytes", 0)])
def test_missing_characters_of_unknown_words_are_noted(kind: str, notes: int) -> None:
    heard: list[str] = []
    tokenizer = KINDS[kind].train(["old castle near the river"] * 3, 376, True)
    ELMO.build(ElmoBase.model_validate(TINY), tokenizer, 0, heard.append, None)
    assert ["maps unknown words" in note for note in heard] == [True] * notes


def test_elmo_trains_both_directions(trained: tuple[Path, EventRecorder]) -> None:
    _, recorder = trained
    for name in ("held_out_loss", "held_out_forward", "held_out_backward"):
        losses = recorder.metric(name)
        assert losses[30] < losses[0] - 0.2, "more than the frequencies of words, with which it begins"


def test_elmo_opens_as_a_language_model_and_as_an_encoder(trained: tuple[Path, EventRecorder]) -> None:
    folder, _ = trained
    assert read_config(folder).capabilities == {"encoder", "language-model"}
    opened = open_model(folder)
    model = opened.language_model
    assert isinstance(model, NextTokenModel)
    tokens = model.tokenizer.encode(["old castle near the", "zebra"]).tokens
    likely = model.log_likelihoods([tokens[:0]], [0], [tokens])
    assert likely.shape == (1, len(tokens))
    assert (likely < 0).all()
    assert isinstance(opened.encoder, Elmo)
    served = predictor_of(folder)
    assert served is not None
    written = served.load(folder).predict(["old castle"], {"limit": 3})
    assert written["prediction"].tolist()[0]


def test_resumed_elmo_training_is_bit_identical(words: Shards, tmp_path: Path) -> None:
    settings = {"steps": 9, "checkpoint_every": 3, "base": {**TINY, "dropout": 0.1}}
    whole, _ = pretrain(words, tmp_path / "whole", **settings)

    class Killed(Exception):
        pass

    class Killer(EventRecorder):
        def __call__(self, event: object) -> None:
            super().__call__(event)  # type: ignore[arg-type]
            if self.metric("loss").keys() >= {5}:
                raise Killed

    context = context_in(tmp_path / "killed", Killer(), 0)
    config = PRETRAIN.config.model_validate(SETTINGS | settings)
    with pytest.raises(Killed):
        PRETRAIN.run(PRETRAIN.inputs(words), config, context)
    (step,) = sorted((tmp_path / "killed/scratch/checkpoints").iterdir())
    carried = load_file(step / "carried.safetensors")
    assert {name.partition(".")[2] for name in carried} == {"output0", "cell0", "output1", "cell1"}
    assert all(value.any() for value in carried.values())
    again, recorder = pretrain(words, tmp_path / "killed", **settings)
    assert "continuing after step 3" in recorder.notes()
    assert (again / "model.safetensors").read_bytes() == (whole / "model.safetensors").read_bytes()


@pytest.mark.parametrize(
    "softmax", [{"softmax": "sampled", "samples": 6}, {"softmax": "adaptive", "cutoffs": [4, 8]}]
)
def test_elmo_trains_with_each_softmax(words: Shards, tmp_path: Path, softmax: dict[str, Any]) -> None:
    folder, recorder = pretrain(words, tmp_path, base=TINY | softmax)
    losses = recorder.metric("held_out_loss")
    assert losses[30] < losses[0] - 0.03
    assert open_model(folder).language_model is not None


def test_elmo_trains_on_documents_without_streams(words: Shards, tmp_path: Path) -> None:
    _, recorder = pretrain(words, tmp_path, format="doc-sentences", streams=False, document_mask=True)
    losses = recorder.metric("held_out_loss")
    assert losses[30] < losses[0] - 0.2


def test_elmo_training_continues_from_a_trained_model(
    words: Shards, trained: tuple[Path, EventRecorder], tmp_path: Path
) -> None:
    recorder = EventRecorder()
    config = PRETRAIN.config.model_validate(SETTINGS | {"steps": 2})
    inputs = PRETRAIN.inputs(words, start=Model(trained[0], "digest", name="before"))
    PRETRAIN.run(inputs, config, context_in(tmp_path, recorder, 0))
    assert recorder.metric("held_out_loss")[0] == pytest.approx(
        trained[1].metric("held_out_loss")[30], rel=1e-4
    )


def changed(before: Path, after: Path) -> set[str]:
    """The weights that differ between the folders."""
    old, new = (load_file(folder / "model.safetensors") for folder in (before, after))
    return {name for name in old if not torch.equal(old[name], new[name])}


def test_elmo_task_on_frozen_layers_learns_the_mixture(
    trained: tuple[Path, EventRecorder], tmp_path: Path
) -> None:
    folder, _ = trained
    data = write_task(tmp_path / "data", "classification", train=80, test=60)
    start = Model(folder, "digest", name="elmo")
    settings = {"train": "head", "epochs": 8, "learning_rate": 3e-2, "pooling": "mean", "precision": "fp32"}
    made = finetune(tmp_path / "frozen", start, "classification", data, **settings)
    assert changed(folder, made.folder) == {"mixture.scalars", "mixture.gamma"}
    scores = json.loads((made.folder / "scores.json").read_text())
    assert scores["arms"]["model"]["dev"]["accuracy"]["value"] > 0.8, "unseen words are spelled"
    answers = Predictor.open(made.folder).predict(["we saw the lovely day", "an awful day again"])
    assert [one["predicted"] for one in answers] == ["1", "0"]
    with pytest.raises(ValueError, match="expected a transformer, found a model of kind kepipe-elmo"):
        export(tmp_path / "exported", made.folder)
    tuned = finetune(tmp_path / "tuned", start, "classification", data, epochs=1, precision="fp32")
    touched = changed(folder, tuned.folder)
    assert {"mixture.scalars", "cnn.characters.weight", "lstm.layers.0.kernel"} <= touched
    assert not {name for name in touched if name.startswith("head.")}, "tasks predict no words"


def test_elmo_task_may_use_only_the_top_layer(trained: tuple[Path, EventRecorder], tmp_path: Path) -> None:
    mixing, batch = small_model(), batch_of("the moon of Io", "Äpfel")
    assert mixing.mixture is not None
    with torch.no_grad():
        mixed = mixing.encode(batch)
        mixing.mixture.scalars.copy_(torch.tensor([-1e9, -1e9, 0.0]))
        assert torch.equal(mixing.top_layer_alone().encode(batch), mixing.encode(batch))
        assert not torch.allclose(mixed, mixing.encode(batch))
    data = write_task(tmp_path / "data", "classification", train=24, test=12)
    start = Model(trained[0], "digest", name="elmo")
    settings = {"train": "head", "mixture": False, "epochs": 1, "pooling": "mean", "precision": "fp32"}
    made = finetune(tmp_path / "top", start, "classification", data, **settings)
    assert not {name for name in load_file(made.folder / "model.safetensors") if name.startswith("mixture")}
    assert Predictor.open(made.folder).predict(["we saw the lovely day"])
    again = Model(made.folder, "digest", name="top")
    with pytest.raises(ValueError, match="on its last layer alone"):
        finetune(tmp_path / "again", again, "classification", data, **{**settings, "mixture": True})


def test_elmo_markers_are_spelled_by_their_names(trained: tuple[Path, EventRecorder], tmp_path: Path) -> None:
    data = write_task(tmp_path / "data", "relations", train=160, test=60)
    start = Model(trained[0], "digest", name="elmo")
    made = finetune(tmp_path / "tuned", start, "relations", data, epochs=6, learning_rate=1e-2)
    assert made.scores()["test"]["accuracy"].value > 0.9, "the label depends on the markers alone"
    answers = Predictor.open(made.folder).predict(
        ["[[ann|head]] owns [[bob|tail]]", "[[ann|tail]] owns [[bob|head]]"]
    )
    assert [answer["predicted"] for answer in answers] == ["owner", "owned"]


def test_a_tokenizer_without_spare_tokens_gets_markers() -> None:
    words = word_level_tokenizer(["ann", "bob", "owns"])
    model = ELMO.build(ElmoBase.model_validate(TINY), words, 0, lambda _: None, None)
    tokens_BT = torch.tensor([[words.cls, *words.encode(["ann owns bob"]).tokens.tolist(), words.sep]])
    batch = Batch(tokens=tokens_BT, documents=torch.ones_like(tokens_BT))
    same, markers = place_markers(model, words, ("[HD]", "[TL]"), seed=1)
    assert isinstance(same, Elmo)
    assert same.config.vocabulary == words.vocab_size == model.config.vocabulary + 2
    assert torch.equal(same.encode(batch), model.encode(batch))
    head, tail = (same.constants.spelling.characters[token] for token in markers.values())
    assert head[1:5].tolist() == [byte + 1 for byte in b"[HD]"]
    assert head.tolist() != tail.tolist()


def test_elmo_dropout_is_set_by_the_task(trained: tuple[Path, EventRecorder]) -> None:
    model = load_encoder(trained[0], dropout=0.3)
    assert isinstance(model, Elmo)
    assert model.lstm.dropout.p == 0.3


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"objective": "mlm"}, "mlm cannot train base elmo as it is set: set `objective: bidirectional-lm`"),
        (
            {"base": {"layers": 1, "hidden": 32, "heads": 2}, "streams": False},
            "bidirectional-lm trains elmo alone",
        ),
        ({"format": "sentence-pair", "streams": False}, "does not support pairs"),
        ({"knowledge": {"method": "k-bert"}}, "k-bert"),
    ],
)
def test_conflicting_settings_are_reported(
    words: Shards, tmp_path: Path, changes: dict[str, Any], reason: str
) -> None:
    with pytest.raises((ConfigConflict, ValueError), match=reason):
        pretrain(words, tmp_path, **changes)


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ({"samples": 10}, "samples apply to `softmax: sampled` only"),
        ({"softmax": "adaptive", "cutoffs": [9, 4]}, "increasing positive numbers"),
        ({"cell": 8, "projection": 16}, "set a larger `cell` or a smaller `projection`"),
        ({"size": "huge"}, "tiny"),
        ({"embeddings": "x"}, "embeddings"),
    ],
)
def test_mutually_exclusive_settings_are_an_error(settings: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValidationError, match=reason):
        ElmoBase.model_validate(settings)


def test_cutoffs_beyond_the_vocabulary_are_an_error(words: Shards, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"the last cutoff is 5,000: set lower `cutoffs`"):
        pretrain(words, tmp_path, base=TINY | {"softmax": "adaptive", "cutoffs": [5000]})


def test_a_tokenizer_without_spelling_is_noted(tmp_path: Path) -> None:
    shards = write_shards(tmp_path / "shards", kind="words", size=320)
    _, recorder = pretrain(shards, tmp_path / "run", steps=1)
    assert "`tokenizer: {kind: words-or-bytes}` spells them" in recorder.notes()


def test_letters_of_spelled_words_are_initialised_by_frequency(
    trained: tuple[Path, EventRecorder], words: Shards
) -> None:
    model, tokenizer = load_encoder(trained[0]), load_tokenizer(trained[0])
    assert isinstance(model, Elmo)
    counts = open_shard(words.folder / "train").counts(tokenizer.vocab_size) + 1
    letters = [counts[tokenizer.id(letter)] for letter in ("Ġ", "a", "z")]
    shares = model.letters[[256, ord("a"), ord("z")]].exp()
    torch.testing.assert_close(shares / shares[0], torch.tensor(letters) / letters[0])
    torch.testing.assert_close(model.letters.exp().sum(), torch.tensor(1.0))
    assert not model.letters.requires_grad
