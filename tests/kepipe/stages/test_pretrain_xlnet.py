"""XLNet and Transformer-XL from `pretrain` on: streams with a memory, resume, generation, export, fine-tuning."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from transformers import AutoTokenizer, XLNetLMHeadModel

from kepipe.flow.events import Metrics
from kepipe.inference.opening import export_model, load_encoder, open_model, read_config
from kepipe.models.networks.xlnet import XLNet
from kepipe.models.protocols import NextTokenModel
from kepipe.stages.artifacts import Model, Shards
from kepipe.stages.pretrain import PRETRAIN, PretrainConfig, PretrainInputs
from kepipe.tokenization.tokenizer import load_tokenizer
from kepipe.training import loop
from tests.support.conflicts import error_message
from tests.support.pretraining import SMALL
from tests.support.stages import run_stage
from tests.support.tasks import finetune, write_task

XL = {"layers": 2, "hidden": 32, "heads": 2, "memory": 24}
SETTINGS: dict[str, dict[str, Any]] = {
    "xlnet": {
        "base": {"family": "xlnet", **XL, "reuse": 8},
        "objective": {"name": "permutation-lm", "left_to_right": 0.5, "from_right": True},
    },
    "transformer-xl": {"base": {"family": "transformer-xl", **XL}, "objective": "causal-lm"},
}
TRAINED = {"format": "doc-packed", "length": 16, "streams": True, "steps": 24, "learning_rate": 1e-2}


def train(shards: Shards, folder: Path, family: str, **changes: Any) -> dict[str, float]:
    """The last value of each metric."""
    settings = SMALL | TRAINED | SETTINGS[family] | {"checkpoint_every": 8, "eval_every": 24} | changes
    events = run_stage(PRETRAIN, PretrainInputs(shards), PretrainConfig.model_validate(settings), folder)
    return {name: value for e in events if isinstance(e, Metrics) for name, value in e.values.items()}


@pytest.fixture(scope="module", params=SETTINGS)
def family(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def made(family: str, shards: Shards, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that was trained without interruption on 24 batches."""
    place: Path = tmp_path_factory.mktemp(family)
    logged = train(shards, place, family)
    assert logged["final_held_out_loss"] < 0.8 * np.log(load_tokenizer(place / "out").vocab_size)
    return place / "out"


def test_interrupted_xlnet_training_resumes_bit_identically(
    family: str, made: Path, shards: Shards, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    original, updates = loop.update, []

    def killed(*given: Any) -> Any:
        updates.append(1)
        if len(updates) > 13:
            raise Killed
        return original(*given)

    monkeypatch.setattr(loop, "update", killed)
    with pytest.raises(Killed):
        train(shards, tmp_path, family)
    carried = load_file(tmp_path / "scratch" / "checkpoints" / "step-00000008" / "carried.safetensors")
    assert carried["0.memory"].shape[1:] == (2, 24, 32)
    monkeypatch.setattr(loop, "update", original)
    train(shards, tmp_path, family)
    once, again = ((folder / "model.safetensors").read_bytes() for folder in (made, tmp_path / "out"))
    assert once == again


def test_xlnet_continues_texts(family: str, made: Path) -> None:
    model = open_model(made).language_model
    assert isinstance(model, NextTokenModel)
    prompt = model.tokenizer.encode(["river castle the near"]).tokens
    (written,) = model.generate([prompt], limit=4)
    assert len(written) <= 4
    assert read_config(made).capabilities == {"encoder", "language-model"}


def test_exported_xlnet_equals_transformers_and_can_be_reimported(
    family: str, made: Path, tmp_path: Path
) -> None:
    export_model(made, tmp_path / "theirs")
    theirs = XLNetLMHeadModel.from_pretrained(tmp_path / "theirs").eval()
    words = AutoTokenizer.from_pretrained(tmp_path / "theirs")
    text = "river castle the near large"
    ids = words(text, return_tensors="pt")["input_ids"]
    ours = load_encoder(made)
    assert isinstance(ours, XLNet)
    tokens = load_tokenizer(made)
    assert ids[0].tolist() == [*tokens.encode([text]).tokens.tolist(), tokens.sep]
    back = load_encoder(tmp_path / "theirs")
    assert isinstance(back, XLNet)
    assert back.config == type(back.config).from_json({**ours.config.to_json(), "start": None})
    with torch.no_grad():
        expected = theirs(ids).logits
        for model in (ours, back):
            found = model.vocabulary(model(_batch(ids)))
            torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
    opened = open_model(tmp_path / "theirs")
    assert opened.language_model is not None
    assert opened.encoder is not None


def _batch(ids: torch.Tensor) -> Any:
    from kepipe.data.batch import Batch

    return Batch(ids, torch.ones_like(ids))


def test_xlnet_learns_a_task(family: str, tmp_path: Path) -> None:
    from kepipe.models import folder as folders
    from kepipe.models.networks.families import NETWORKS, build
    from tests.support.tasks import tokenizer

    words = tokenizer()
    words.save(tmp_path / "start")
    section = NETWORKS[family].section.model_validate({"family": family, **XL})
    folders.save(tmp_path / "start", build(section, words, seed=1), tokenizer=tmp_path / "start")
    task = "pairs" if family == "xlnet" else "classification"
    data = write_task(tmp_path / "data", task)
    made = finetune(tmp_path / "stage", Model(tmp_path / "start", "digest", name="pretrain"), task, data)
    assert next(iter(made.scores()["test"].values())).value > 0.9


STREAMS = "format: doc-packed, streams: true"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ("base: {family: bert}, streams: true", "`stages.pretrain.streams`: base bert carries no state"),
        (
            "base: {family: xlnet, memory: 8}, objective: permutation-lm",
            "`stages.pretrain.base.memory`: the memory is carried from batch to batch: set `streams: true`",
        ),
        (
            "base: {family: xlnet, memory: 8}, objective: permutation-lm, format: segment-pair, streams: true",
            "pairs, as made by segment-pair, do not continue one another",
        ),
        (
            f"base: {{family: xlnet, memory: 8}}, objective: permutation-lm, {STREAMS}, accumulate: 8, batch_ramp: 0.5",
            "`stages.pretrain.batch_ramp`: streams take the same number of parts in every update",
        ),
        (
            "base: {family: bert}, objective: permutation-lm",
            "permutation-lm trains xlnet alone, and not base bert",
        ),
        ("base: {family: transformer-xl}, objective: permutation-lm", "set `objective: causal-lm`"),
        (
            "base: {family: xlnet, hidden: 30, heads: 4}, objective: permutation-lm",
            "hidden 30 is not an even",
        ),
        ("base: {family: xlnet, embedding: 64}, objective: permutation-lm", "set `hidden: 64`"),
    ],
)
def test_incompatible_xlnet_settings_are_reported_first(settings: str, message: str, tmp_path: Path) -> None:
    assert message in error_message(tmp_path, f"  pretrain: {{{settings}}}\n")


def test_xlnet_accepts_pairs_without_streams(tmp_path: Path) -> None:
    pairs = "  pretrain: {base: {family: xlnet}, objective: permutation-lm, format: segment-pair}\n"
    assert error_message(tmp_path, pairs) == ""
