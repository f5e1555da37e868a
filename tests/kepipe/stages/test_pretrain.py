"""The stage `pretrain` on a small text: outputs, comparable arms, continued training, errors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from kepipe.flow.events import Metrics
from kepipe.flow.stage import Nothing, StageContext
from kepipe.models.folder import load
from kepipe.stages.artifacts import Linked, Model, Shards
from kepipe.stages.corpus import CORPUS
from kepipe.stages.pretrain import PRETRAIN, PretrainConfig
from kepipe.stages.pretraining import Pretraining
from kepipe.stages.shards import SHARDS
from tests.support.pretraining import SMALL, TINY, WORDS, write_shards
from tests.support.toy_training import EventRecorder, context_in


def run(shards: Shards, folder: Path, seed: int = 0, **changes: Any) -> tuple[StageContext, EventRecorder]:
    recorder = EventRecorder()
    context = context_in(folder, recorder, seed)
    PRETRAIN.run(PRETRAIN.inputs(shards), PRETRAIN.config.model_validate(SMALL | changes), context)
    return context, recorder


def test_pretrain_writes_a_model_folder_that_loads(shards: Shards, tmp_path: Path) -> None:
    context, recorder = run(shards, tmp_path, knowledge="ernie-baidu")
    assert load(context.out).config.hidden == 32
    assert (context.out / "tokenizer.json").read_bytes() == (
        shards.folder / "tokenizer/tokenizer.json"
    ).read_bytes()
    provenance = json.loads((context.out / "kepipe.json").read_text())
    assert [each["method"] for each in provenance["config"]["knowledge"]] == ["ernie-baidu"]
    assert provenance["shards"] == "digest"
    assert set(recorder.metric("held_out_loss")) == {0, 6}


def test_pretrain_with_0_steps_keeps_the_base(shards: Shards, tmp_path: Path) -> None:
    (none, recorder), (some, trained) = (run(shards, tmp_path / str(steps), steps=steps) for steps in (0, 6))
    final = next(
        e.values for e in recorder.events if isinstance(e, Metrics) and "final_held_out_loss" in e.values
    )
    assert final["final_held_out_loss"] == recorder.metric("held_out_loss")[0]
    assert recorder.metric("held_out_loss") == {0: trained.metric("held_out_loss")[0]}
    before, after = load(none.out).state_dict(), load(some.out).state_dict()
    again = load(run(shards, tmp_path / "again", steps=0)[0].out).state_dict()
    assert all(torch.equal(before[name], again[name]) for name in before)
    assert not torch.equal(before["tokens.weight"], after["tokens.weight"])
    assert json.loads((none.out / "kepipe.json").read_text())["steps"] == 0


def test_pretrain_is_deterministic(shards: Shards, tmp_path: Path) -> None:
    folders = [run(shards, tmp_path / name)[0].out for name in "ab"]
    files = [{file.name: file.read_bytes() for file in folder.iterdir()} for folder in folders]
    assert files[0] == files[1]


def test_arms_start_and_are_evaluated_alike(shards: Shards, tmp_path: Path) -> None:
    (_, mlm), (_, ernie) = (
        run(shards, tmp_path / str(name), knowledge=name) for name in (None, "ernie-baidu")
    )
    assert mlm.metric("held_out_loss")[0] == ernie.metric("held_out_loss")[0]
    assert mlm.metric("loss") != ernie.metric("loss")


def test_objective_does_not_change_the_order_of_rows(shards: Shards, tmp_path: Path) -> None:
    """The first stage of ERNIE is token masking: until it ends, both arms have equal losses."""
    slow: dict[str, Any] = {
        "steps": 30,
        "log_every": 1,
        "knowledge": {"method": "ernie-baidu", "stages": {"basic": 1, "phrase": 0}},
    }
    _, ernie = run(shards, tmp_path / "ernie", **slow)
    _, mlm = run(shards, tmp_path / "mlm", **(slow | {"knowledge": None}))
    ours, control = ernie.metric("loss"), mlm.metric("loss")
    assert [ours[step] == control[step] for step in range(1, 31)] == [True] * 15 + [False] * 15


@pytest.mark.parametrize("format", ["segment-pair", "sentence-pair", "full-sentences", "packed"])
def test_every_row_format_trains(shards: Shards, tmp_path: Path, format: str) -> None:
    _, recorder = run(shards, tmp_path, format=format, steps=40, learning_rate=3e-3)
    losses = recorder.metric("held_out_loss")
    assert losses[40] < losses[0] - 0.1, "lower than with token frequencies, the initial output"
    assert (format in ("segment-pair", "sentence-pair")) == bool(recorder.metric("loss_nsp"))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"base": {"family": "gpt2", **TINY}}, "mlm trains an encoder, and base gpt2 is a decoder"),
        ({"base": {"positions": 16, **TINY}}, "32 tokens, and base bert has 16 positions"),
        ({"base": {"family": "roberta", **TINY}, "format": "segment-pair"}, "segments"),
        ({"base": {"from": "minilm"}}, "vocabulary"),
    ],
)
def test_invalid_pretrain_settings_are_rejected(
    shards: Shards, tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        run(shards, tmp_path, **changes)


def test_pretrain_continues_an_earlier_stages_model(shards: Shards, tmp_path: Path) -> None:
    """As in ERNIE 2.0's continual training, where a new task joins; also DAPT and TAPT."""
    tasks = {"base": {**TINY, "tasks": 2}, "learning_rate": 3e-3}
    first, _ = run(shards, tmp_path / "first", steps=30, **tasks)
    both: dict[str, Any] = {
        "name": "mixture",
        "tasks": True,
        "of": [{"objective": "mlm"}, {"objective": {"name": "mlm", "level": "entity"}}],
    }
    config = PRETRAIN.config.model_validate(SMALL | tasks | {"objective": both, "steps": 4})
    recorder, start = EventRecorder(), Model(first.out, "earlier", name="pretrain")
    context = context_in(tmp_path / "second", recorder)
    PRETRAIN.run(PRETRAIN.inputs(shards, start), config, context)
    fresh = run(shards, tmp_path / "fresh", steps=1, **tasks)[1].metric("held_out_loss")[0]
    assert recorder.metric("held_out_loss")[0] < fresh - 0.1
    assert json.loads((context.out / "kepipe.json").read_text())["start"] == "earlier"


def test_base_with_another_tokenizer_is_rejected(shards: Shards, tmp_path: Path) -> None:
    (tmp_path / "tokenizer.json").write_text("{}")
    start = Model(tmp_path, "", name="pretrain")
    with pytest.raises(ValueError, match="`pretrain` was trained with another tokenizer"):
        PRETRAIN.run(
            PRETRAIN.inputs(shards, start), PRETRAIN.config.model_validate(SMALL), context_in(tmp_path)
        )


def weights(folder: Path) -> dict[str, Any]:
    return dict(load(folder).named_parameters())


def test_two_processes_train_the_model_of_one(shards: Shards, tmp_path: Path) -> None:
    """Sharded by FSDP2: includes heads that no batch uses, and whole weights at the end."""
    halves: dict[str, Any] = {"accumulate": 2, "log_every": 1, "eval_every": 3, "checkpoint_every": 3}
    halves |= {"optimizer": "adamw"}  # Muon makes much of what rounding leaves
    alone, recorder = run(shards, tmp_path / "alone", **halves)
    shared, heard = run(shards, tmp_path / "shared", **halves, processes=2, parallel="fsdp2")
    for name in ("loss", "held_out_loss", "gradient_norm", "learning_rate"):
        assert heard.metric(name) == pytest.approx(recorder.metric(name), rel=1e-4), name
    ours, theirs = weights(shared.out), weights(alone.out)
    assert all(ours[name].allclose(value, atol=1e-5) for name, value in theirs.items())
    assert (shared.out / "kepipe.json").read_text() == (alone.out / "kepipe.json").read_text()


def test_error_of_several_processes_is_reported_as_of_one(shards: Shards, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="mlm trains an encoder, and base gpt2 is a decoder"):
        run(shards, tmp_path, base={"family": "gpt2", **TINY}, accumulate=2, processes=2)


def test_dialogue_objective_mixes_with_masking(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    talks = [
        {"turns": [" ".join(rng.choice(WORDS[:6] if turn % 2 else WORDS[6:], 4)) for turn in range(6)]}
        for _ in range(60)
    ]
    (tmp_path / "talks.jsonl").write_text("".join(json.dumps(talk) + "\n" for talk in talks))
    corpus, tokens = context_in(tmp_path / "corpus"), context_in(tmp_path / "shards")
    CORPUS.run(Nothing(), CORPUS.config(source="folder", path=tmp_path / "talks.jsonl"), corpus)
    SHARDS.run(
        SHARDS.inputs(Linked(corpus.out, "")),
        SHARDS.config.model_validate({"tokenizer": {"size": 320}}),
        tokens,
    )
    shards = Shards(tokens.out, "")
    both = {
        "name": "mixture",
        "of": [{"objective": "dlm"}, {"objective": {"name": "mlm", "next_sentence": False}}],
    }
    long: dict[str, Any] = {"format": "dialogue", "objective": both, "steps": 30, "learning_rate": 3e-3}
    _, recorder = run(shards, tmp_path / "model", **long)
    hidden = recorder.metric("held_out_loss_mlm")
    assert hidden[30] < hidden[0] - 0.1
    assert recorder.metric("held_out_loss_real")[0] == pytest.approx(np.log(2), abs=0.02), "chance level"
    assert set(recorder.metric("loss_dlm.real")) & set(recorder.metric("loss_mlm.mlm"))
    with pytest.raises(ValueError, match="rows of the kind packed: set `format: dialogue`"):
        run(shards, tmp_path / "other", objective="dlm", format="packed")


def test_non_finite_final_weights_are_not_saved(tmp_path: Path) -> None:
    """Nothing is held out, and the only logged loss is that before the update."""
    whole = write_shards(tmp_path / "text", held_out=0)
    bad = {"steps": 1, "learning_rate": 1e38, "max_grad_norm": 0, "warmup": 0, "schedule": "constant"}
    with pytest.raises(ValueError, match=r"not finite at the end: nothing is saved.*try a lower one"):
        run(whole, tmp_path / "stage", **bad)
    assert not list((tmp_path / "stage" / "out").iterdir())


def test_length_counts_source_tokens_of_span_corruption(shards: Shards, tmp_path: Path) -> None:
    changes = {"objective": "span-corruption", "format": "packed", "base": {**TINY, "family": "t5"}}
    config = PretrainConfig.model_validate({**SMALL, **changes, "length": 64, "batch_tokens": 284})
    run = Pretraining.prepare(PRETRAIN.inputs(shards), config, context_in(tmp_path / "stage"))
    assert run.rows[0].tokens.shape[1] == config.objective.row_length(64) == 70
    assert 62 <= run.batches(0, 0.0).tokens.shape[1] <= 66


@pytest.mark.parametrize("name", ["ernie-baidu", "ernie-tsinghua"])
def test_former_objective_advises_the_knowledge_method(name: str) -> None:
    message = rf"set `objective: mlm` and `knowledge: \{{method: {name}\}}`"
    with pytest.raises(ValidationError, match=message):
        PretrainConfig(objective=name)
