"""Networks other than transformers in the stage `pretrain`: saving, opening, registering, continuing."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from typer.testing import CliRunner

from kepipe.cli import app
from kepipe.flow.events import Metrics
from kepipe.inference.opening import load_encoder, open_model, read_config
from kepipe.models.networks.network import Network
from kepipe.models.protocols import ExtensibleVocabulary, NextTokenModel
from kepipe.models.static.fitting import save as save_vectors
from kepipe.stages.artifacts import Model, Shards
from kepipe.stages.pretrain import PRETRAIN, PretrainConfig, PretrainInputs
from kepipe.tokenization.tokenizer import load_tokenizer
from kepipe.tracking.predictors import predictor_of
from tests.support.conflicts import error_message
from tests.support.pretraining import SMALL
from tests.support.stages import run_stage

BASES: dict[str, dict[str, Any]] = {
    "nnlm": {"family": "nnlm", "order": 4, "embedding": 16, "hidden": 32},
    "lstm": {"family": "lstm", "embedding": 16, "hidden": 32},
    "bilstm": {"family": "lstm", "embedding": 16, "hidden": 32, "bidirectional": True},
    "cnn": {"family": "cnn", "embedding": 16, "hidden": 32, "widths": [3, 5]},
}
TRAINED = {"steps": 40, "learning_rate": 2e-2}


def objective(name: str) -> Any:
    return {"objective": "causal-lm"} if name in ("nnlm", "lstm") else {"objective": "mlm"}


def trained(shards: Shards, folder: Path, name: str, inputs: Any = None, **settings: Any) -> dict[str, float]:
    """The last value of each metric."""
    config = PretrainConfig.model_validate(
        SMALL | TRAINED | objective(name) | {"base": BASES[name]} | settings
    )
    events = run_stage(PRETRAIN, PretrainInputs(shards, **(inputs or {})), config, folder)
    return {name: value for e in events if isinstance(e, Metrics) for name, value in e.values.items()}


@pytest.fixture(scope="module")
def made(shards: Shards, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Trained for a while; `losses` of each are in its folder's name."""
    folders = {}
    for name in BASES:
        place = tmp_path_factory.mktemp(name)
        logged = trained(shards, place, name)
        fresh = trained(shards, place / "fresh", name, steps=0)
        assert logged["final_held_out_loss"] < fresh["final_held_out_loss"] - 0.3, (name, logged, fresh)
        folders[name] = place / "out"
    return folders


@pytest.mark.parametrize("name", BASES)
def test_network_is_trained_and_opened_by_its_capabilities(name: str, made: dict[str, Path]) -> None:
    writes = name in ("nnlm", "lstm")
    opened, capabilities = open_model(made[name]), read_config(made[name]).capabilities
    assert (opened.language_model is not None) == writes == ("language-model" in capabilities)
    assert (opened.masked_language_model is not None) == (not writes) == ("masked-lm" in capabilities)
    assert (opened.encoder is not None) == (name != "nnlm") == ("encoder" in capabilities)


@pytest.mark.parametrize("name", BASES)
def test_network_pyfunc_predicts(name: str, made: dict[str, Path]) -> None:
    row = predictor_of(made[name])
    assert row is not None
    mask = load_tokenizer(made[name]).named["mask"]
    text = "river castle" if name in ("nnlm", "lstm") else f"river {mask} the near"
    answered = row.load(made[name]).predict(pd.Series([text]), {"limit": 3, "top": 2})
    assert list(answered.columns) == list(row.columns)
    assert len(answered) == (1 if name in ("nnlm", "lstm") else 2)


@pytest.mark.parametrize("name", BASES)
def test_interrupted_network_training_resumes_bit_identically(
    name: str, shards: Shards, made: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run of 40 steps that resumes from the checkpoint of step 20."""
    from kepipe.training import loop

    class Killed(BaseException):
        pass

    original, updates = loop.update, []

    def killed(*given: Any) -> Any:
        updates.append(1)
        if len(updates) > 25:
            raise Killed
        return original(*given)

    monkeypatch.setattr(loop, "update", killed)
    with pytest.raises(Killed):
        trained(shards, tmp_path, name, checkpoint_every=20)
    monkeypatch.setattr(loop, "update", original)
    trained(shards, tmp_path, name, checkpoint_every=20)
    once, again = ((folder / "model.safetensors").read_bytes() for folder in (made[name], tmp_path / "out"))
    assert once == again


@pytest.mark.parametrize("name", ["lstm", "nnlm"])
def test_network_works_on_the_command_line(name: str, made: dict[str, Path], tmp_path: Path) -> None:
    folder, run = str(made[name]), CliRunner().invoke
    greedy = run(app, ["generate", folder, "river castle", "--limit", "4"])
    assert greedy.exit_code == 0, greedy.output
    assert greedy.output.startswith("river castle")
    drawn = [
        run(app, ["generate", folder, "river", "--top-p", "0.9", "--seed", "3"]).output for _ in range(2)
    ]
    assert drawn[0] == drawn[1] != ""
    (tmp_path / "text.txt").write_text("river castle the near large small . old town lies north . " * 9)
    scored = run(app, ["perplexity", folder, str(tmp_path / "text.txt")])
    assert scored.exit_code == 0, scored.output
    (tmp_path / "task.yaml").write_text(
        "choices: [castle, hill]\ntemplate: '{question} {answer}'\nquestions: [{question: river, answer: castle}]\n"
    )
    asked = run(app, ["few-shot", folder, str(tmp_path / "task.yaml"), "--shots", "0"])
    assert asked.exit_code == 0, asked.output
    beams = run(app, ["generate", folder, "river", "--beams", "2"])
    assert str(beams.exception).endswith("has no beam search: remove beams")
    pytest.importorskip("onnxruntime")
    exported = run(app, ["export", folder, str(tmp_path / "out")])
    assert "model.onnx" in exported.output


def test_network_training_continues_from_an_earlier_stage(
    shards: Shards, made: dict[str, Path], tmp_path: Path
) -> None:
    start = {"start": Model(made["bilstm"], "digest", name="first")}
    more = trained(
        shards, tmp_path, "bilstm", start, base={"dropout": 0.1}, steps=20, objective="span-masking"
    )
    assert (
        more["final_held_out_loss"] < trained(shards, tmp_path / "other", "bilstm", steps=0)["held_out_loss"]
    )
    assert load_encoder(tmp_path / "out").config == load_encoder(made["bilstm"]).config


@pytest.mark.parametrize("name", BASES)
def test_network_embeddings_start_from_word_vectors(name: str, shards: Shards, tmp_path: Path) -> None:
    words = load_tokenizer(shards.folder / "tokenizer")
    table = np.random.default_rng(0).normal(size=(words.vocab_size, 16)).astype(np.float32)
    save_vectors(tmp_path / "vectors", table, words, shards.folder / "tokenizer", family="glove")
    given = {"embeddings": Model(tmp_path / "vectors", "digest", name="glove")}
    trained(shards, tmp_path, name, given, steps=0)
    model = open_model(tmp_path / "out").encoder if name != "nnlm" else load_encoder(tmp_path / "out")
    assert isinstance(model, ExtensibleVocabulary)
    assert isinstance(model, Network)
    ours = model.token_embeddings.weight.detach()[words.ordinary]
    cosines = torch.nn.functional.cosine_similarity(ours, torch.from_numpy(table[words.ordinary]))
    assert float(cosines.min()) > 0.999
    assert float(ours.square().mean().sqrt()) == pytest.approx(0.1, rel=0.1)


GLOVE = "  vectors: {use: pretrain, base: {family: glove}}\n"


@pytest.mark.parametrize(
    ("stages", "message"),
    [
        (
            "  pretrain: {base: {family: lstm}}\n",
            "mlm cannot train base lstm as it is set: set `objective: causal-lm`",
        ),
        (
            "  pretrain: {base: {family: lstm, bidirectional: true}, objective: causal-lm}\n",
            "causal-lm cannot train base lstm as it is set: set `objective: mlm` (or span-masking, simcse",
        ),
        ("  pretrain: {base: {family: cnn}, objective: unilm}\n", "unilm cannot train base cnn"),
        ("  pretrain: {base: {family: nnlm}, objective: prefix-lm}\n", "prefix-lm cannot train base nnlm"),
        ("  pretrain: {base: {family: cnn}, format: segment-pair}\n", "base cnn does not support pairs"),
        (
            "  pretrain: {base: {family: cnn}, format: packed, document_mask: true}\n",
            "`stages.pretrain.document_mask`: base cnn reads rows as a whole",
        ),
        (
            "  pretrain: {base: {family: cnn}, recipe: published}\n",
            "there are no usable published settings of cnn",
        ),
        (
            "  pretrain: {base: {family: cnn}, gradient_checkpointing: true}\n",
            "`stages.pretrain.gradient_checkpointing`: not implemented for cnn: remove it",
        ),
        (
            "  pretrain: {base: {family: cnn}, flex_attention: true}\n",
            "`stages.pretrain.flex_attention`: not implemented for cnn: remove it",
        ),
        ("  pretrain: {base: {family: lstm, heads: 2}}\n", "unknown key `stages.pretrain.base.heads`"),
        ("  pretrain: {base: {family: lstm, bidirectional: true, hidden: 5}}\n", "hidden 5 must be even"),
        (
            "  pretrain: {base: {family: cnn, hidden: 100}}\n",
            "hidden 100 is not a multiple of the number of widths, 3",
        ),
        (
            f"{GLOVE}  pretrain: {{base: {{family: cnn}}, inputs: {{embeddings: vectors}}}}\n",
            "`stages.pretrain.base.embedding`: `vectors` is 100 wide, the model 128: set `embedding: 100`",
        ),
        ("  pretrain: {base: {family: lstms}}\n", "unknown family 'lstms'; did you mean `lstm`?"),
        (
            "  pretrain: {base: {family: cnn}, knowledge: ernie-tsinghua}\n",
            "adds layers to a transformer's encoder",
        ),
        (
            "  pretrain: {base: {family: nnlm}, objective: causal-lm}\n"
            "  finetune: {task: typing, data: {train: p.yaml}, inputs: {start: pretrain}}\n",
            "`stages.finetune.inputs.start`: pretrain is not an encoder",
        ),
        (
            "  finetune: {task: typing, data: {train: p.yaml}, base: {family: glove}}\n",
            "glove is fitted by a stage `pretrain`",
        ),
        (
            "  pretrain: {base: {family: cnn}}\n  evaluate: {probes: [perplexity]}\n",
            "cannot answer perplexity",
        ),
    ],
)
def test_incompatible_network_settings_are_reported_first(stages: str, message: str, tmp_path: Path) -> None:
    assert message in error_message(tmp_path, stages)


def test_compatible_network_settings_are_accepted(tmp_path: Path) -> None:
    sound = (
        "  words: {use: pretrain, base: {family: glove}}\n"
        "  first:\n    use: pretrain\n    base: {family: lstm, bidirectional: true, embedding: 100}\n"
        "    inputs: {embeddings: words}\n"
        "  second: {use: pretrain, inputs: {start: first}, objective: span-masking}\n"
        "  finetune: {task: typing, data: {train: p.yaml}, inputs: {start: second}}\n"
    )
    assert error_message(tmp_path, sound) == ""


def test_lstm_gives_next_token_probabilities(made: dict[str, Path]) -> None:
    assert isinstance(open_model(made["lstm"]).language_model, NextTokenModel)


def test_network_trains_with_unit_masking(shards: Shards, tmp_path: Path) -> None:
    """Knowledge methods that only change masking work with networks as with BERT."""
    logged = trained(shards, tmp_path, "cnn", knowledge="ernie-baidu", steps=4)
    assert logged["loss"] > 0
