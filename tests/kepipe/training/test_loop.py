"""The training loop: the loss falls, runs are deterministic, interrupted training resumes bit-identically."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor

from kepipe.data.batch import Batch, TokenRows
from kepipe.objectives.base import Objective
from kepipe.objectives.losses import TokenLoss, TokenModel, tensor
from kepipe.training.carried_states import CarriedStates
from kepipe.training.distributed import LossModule, make_accelerator
from kepipe.training.divergence import Diverged
from kepipe.training.evaluator import HeldOutLoss
from kepipe.training.loop import update
from kepipe.training.microbatches import MicroBatch
from kepipe.training.optimizer import adamw
from tests.support.toy_training import (
    MASK,
    MASKING,
    PARTS,
    EventRecorder,
    context_in,
    equal_weights,
    fit,
    held_out_loss,
    mask_tokens,
    masking_mixture,
    settings,
    tiny,
    toy_rows,
)


def held_out() -> HeldOutLoss:
    return held_out_loss(MASKING, lambda number: toy_rows(1_000 + number), 2)


def test_held_out_loss_falls(tmp_path: Path) -> None:
    recorder = EventRecorder()
    fit(
        tiny(0.0),
        MASKING,
        toy_rows,
        settings(steps=150, eval_every=50, learning_rate=0.01),
        context_in(tmp_path, recorder),
        held_out(),
    )
    losses = recorder.metric("held_out_loss")
    assert list(losses) == [0, 50, 100, 150]
    assert losses[150] < 0.8 * losses[0]


def test_training_is_deterministic_for_a_seed(tmp_path: Path) -> None:
    one, two, other = tiny(), tiny(), tiny()
    fit(one, MASKING, toy_rows, settings(), context_in(tmp_path / "1"))
    fit(two, MASKING, toy_rows, settings(workers=3), context_in(tmp_path / "2"))
    fit(other, MASKING, toy_rows, settings(), context_in(tmp_path / "3", seed=4))
    assert equal_weights(one, two)
    assert not equal_weights(one, other)


def test_accumulated_micro_batches_give_the_gradient_of_the_whole(tmp_path: Path) -> None:
    """Half batches with unequal numbers of masked tokens give the gradient of the whole batch."""

    def halves(number: int) -> TokenRows:
        whole, rows = toy_rows(number // 2), slice(4 * (number % 2), 4 * (number % 2) + 4)
        return TokenRows(
            whole.tokens[rows], whole.segments[rows], whole.documents[rows], whole.special[rows], {},
            whole.entities[rows], whole.sentences[rows],
        )  # fmt: skip

    def hide_low(rows: TokenRows, _rng: np.random.Generator, _progress: float) -> Batch:
        """Masks tokens below 12: a function of the tokens alone, so that halves and wholes agree."""
        low = rows.tokens < 12
        tokens = torch.from_numpy(rows.tokens)
        chosen = torch.from_numpy(np.flatnonzero(low))
        return Batch(
            tokens.masked_fill(torch.from_numpy(low), 1),
            torch.ones_like(tokens),
            label_positions=chosen,
            labels=tokens.flatten()[chosen],
        )

    objective = replace(MASKING, collate=hide_low)
    one, two = tiny(0.0), tiny(0.0)
    recorder_one, recorder_two = EventRecorder(), EventRecorder()
    fit(one, objective, toy_rows, settings(), context_in(tmp_path / "1", recorder_one))
    fit(two, objective, halves, settings(accumulate=2), context_in(tmp_path / "2", recorder_two))
    assert recorder_two.metric("loss") == pytest.approx(recorder_one.metric("loss"), rel=1e-5)
    assert recorder_two.metric("gradient_norm") == pytest.approx(
        recorder_one.metric("gradient_norm"), rel=1e-4
    )


def test_mixture_gradient_weights_objectives_by_their_batches() -> None:
    """Of four micro-batches three share an objective: the gradient is of 3/4 of its loss, 1/4 of the other's."""
    mixture, model = masking_mixture().criterion, tiny(0.0)
    batches = {
        part: replace(objective.collate(toy_rows(part), np.random.default_rng(part), 0.0), objective_id=part)
        for part, objective in enumerate(PARTS)
    }
    parts = [MicroBatch(batches[part], mixture.counts(batches[part]), 0, 0) for part in (0, 1, 0, 0)]
    accelerator = make_accelerator("fp32", "cpu")
    optimizer = adamw(model, settings())
    _, norm = update(accelerator, LossModule(model), optimizer, mixture, parts, CarriedStates(), 0.0)

    again = tiny(0.0)
    losses = {part: torch.stack([*mixture(again, batch).values()]).sum() for part, batch in batches.items()}
    (0.75 * losses[0] + 0.25 * losses[1]).backward()  # type: ignore[no-untyped-call]
    expected = torch.stack([p.grad.norm() for p in again.parameters() if p.grad is not None]).norm()
    assert float(norm) == pytest.approx(float(expected), rel=1e-5)


class Stop(Exception):
    """Simulates a killed process."""


@pytest.mark.parametrize("at", [2, 4, 7, 8, 10])
def test_interrupted_training_resumes_bit_identically(tmp_path: Path, at: int) -> None:
    whole_recorder, recorder = EventRecorder(), EventRecorder()
    whole = tiny()
    fit(whole, MASKING, toy_rows, settings(), context_in(tmp_path / "whole", whole_recorder), held_out())

    def stopping(number: int) -> TokenRows:
        if number > at:
            raise Stop
        return toy_rows(number)

    with pytest.raises(Stop):
        fit(tiny(), MASKING, stopping, settings(), context_in(tmp_path / "cut", recorder), held_out())
    again = tiny()
    fit(again, MASKING, toy_rows, settings(), context_in(tmp_path / "cut", recorder), held_out())
    assert equal_weights(whole, again)
    for name in ("loss", "held_out_loss", "learning_rate", "gradient_norm"):
        assert recorder.metric(name) == whole_recorder.metric(name)


def poisoned(rows: TokenRows, rng: np.random.Generator, progress: float) -> Batch:
    """Adds a NaN to batch 6."""
    batch = mask_tokens(rows, rng, progress)
    if np.array_equal(rows.tokens, toy_rows(6).tokens):
        batch.extra["poison"] = torch.tensor(float("nan"))  # type: ignore[index]
    return batch


class PoisonedLoss(TokenLoss):
    """Adds a batch's `poison` to its loss."""

    def mean(self, model: TokenModel, hidden_ND: Tensor, batch: Batch) -> Tensor:
        return super().mean(model, hidden_ND, batch) + batch.extra.get("poison", 0.0)


def test_non_finite_loss_stops_training_and_saves_the_batch(tmp_path: Path) -> None:
    context = context_in(tmp_path)
    with pytest.raises(Diverged, match="the loss of step 7 is not finite") as stopped:
        fit(
            tiny(),
            Objective(poisoned, PoisonedLoss("hidden")),
            toy_rows,
            settings(checkpoint_every=3, log_every=4),
            context,
        )
    file = context.scratch / "not-finite-step-00000007.safetensors"
    assert str(file) in str(stopped.value)
    saved = load_file(file)
    assert torch.isnan(saved["part0.extra.poison"])
    assert saved["part0.tokens"].shape == (8, 16)
    names = sorted(folder.name for folder in (context.scratch / "checkpoints").iterdir())
    assert names == ["step-00000003", "step-00000006"]


def test_update_without_masked_tokens_has_zero_gradient(tmp_path: Path) -> None:
    def hide_nothing(rows: TokenRows, rng: np.random.Generator, progress: float) -> Batch:
        batch = mask_tokens(rows, rng, progress)
        nothing = torch.empty(0, dtype=torch.int64)
        return replace(batch, label_positions=nothing, labels=nothing) if progress > 0.4 else batch

    recorder = EventRecorder()
    fit(tiny(), replace(MASKING, collate=hide_nothing), toy_rows, settings(), context_in(tmp_path, recorder))
    assert recorder.metric("gradient_norm")[12] == 0.0
    assert set(recorder.metric("loss")) == {2, 4, 6}


def test_gradient_checkpointing_gives_identical_weights(tmp_path: Path) -> None:
    one, two = tiny(), tiny()
    fit(one, MASKING, toy_rows, settings(steps=4), context_in(tmp_path / "1"))
    fit(two, MASKING, toy_rows, settings(steps=4, gradient_checkpointing=True), context_in(tmp_path / "2"))
    assert equal_weights(one, two)


def test_bf16_and_fp32_runs_in_one_process_have_close_losses(tmp_path: Path) -> None:
    recorders = EventRecorder(), EventRecorder()
    for recorder, precision in zip(recorders, ("bf16", "fp32"), strict=True):
        fit(
            tiny(0.0),
            MASKING,
            toy_rows,
            settings(precision=precision, steps=4),  # processors without bf16 compute it slowly
            context_in(tmp_path / precision, recorder),
        )
    bf16, fp32 = (recorder.metric("loss") for recorder in recorders)
    assert bf16 != fp32
    assert bf16 == pytest.approx(fp32, rel=0.02)


def test_fp16_on_cpu_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="fp16 needs a GPU"):
        fit(tiny(), MASKING, toy_rows, settings(precision="fp16"), context_in(tmp_path))


def test_flex_attention_on_cpu_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="flex_attention: block masks need a GPU"):
        fit(tiny(0.0), MASKING, toy_rows, settings(flex_attention=True), context_in(tmp_path))


RUN = """
import sys
from pathlib import Path
import torch
from safetensors.torch import save_file
from tests.support.killing import kill_when, newest_step
from tests.support.toy_training import MASKING, fit, toy_rows, settings, tiny, context_in
torch.set_num_threads(1)
folder, step, later = Path(sys.argv[1]), int(sys.argv[2]), float(sys.argv[3])
if step:
    kill_when(lambda: newest_step(folder / "scratch" / "checkpoints") >= step, later)
model = tiny()
fit(model, MASKING, toy_rows, settings(steps=120, checkpoint_every=3), context_in(folder))
save_file(dict(model.named_parameters()), folder / "model.safetensors")
"""


def test_training_killed_repeatedly_resumes_bit_identically(tmp_path: Path) -> None:
    def ended(name: str, step: int = 0, later: float = 0.0) -> int:
        (tmp_path / name).mkdir(exist_ok=True)
        command = [sys.executable, "-c", RUN, tmp_path / name, str(step), str(later)]
        return subprocess.run(command, check=False).returncode

    assert ended("whole") == 0
    for step, later in ((3, 0.0), (30, 0.004), (60, 0.011)):  # while it saves, trains, or reads
        assert ended("cut", step, later) == -signal.SIGKILL
    assert ended("cut") == 0
    results = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("whole", "cut")]
    assert results[0] == results[1]


def hide_two(rows: TokenRows, rng: np.random.Generator, _progress: float) -> Batch:
    """Mask two tokens of each row."""
    drawn = rng.permuted(np.tile(np.arange(rows.tokens.shape[1]) < 2, (len(rows.tokens), 1)), axis=1)
    return Batch(
        tensor(np.where(drawn, MASK, rows.tokens)),
        tensor(rows.documents),
        label_positions=tensor(np.flatnonzero(drawn)),
        labels=tensor(rows.tokens[drawn]),
    )


@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs g++")
def test_compiled_layers_keep_the_losses_and_resume(tmp_path: Path) -> None:
    """Interrupted and resumed, too: kernels are not in the checkpoint, and a truncated kernel is no error."""
    plain, compiled = EventRecorder(), EventRecorder()
    alike = replace(MASKING, collate=hide_two)  # one shape, and so one kernel
    fit(tiny(0.0), alike, toy_rows, settings(steps=12), context_in(tmp_path / "plain", plain))

    def stopping(number: int) -> TokenRows:
        if number > 9:  # the first eight are inspected before
            raise Stop
        return toy_rows(number)

    once, cut = settings(steps=12, compile=True), context_in(tmp_path / "cut", compiled)
    with pytest.raises(Stop):
        fit(tiny(0.0), alike, stopping, once, cut)
    kernels = list((cut.scratch / "kernels-0").rglob("*.so"))
    assert kernels
    for kernel in kernels:
        kernel.unlink()  # this process has it mapped
        kernel.write_bytes(b"")
    torch.compiler.reset()
    fit(tiny(0.0), alike, toy_rows, once, cut)
    assert "continuing after step 8" in compiled.notes()
    for name in ("loss", "gradient_norm"):
        assert compiled.metric(name) == pytest.approx(plain.metric(name), rel=1e-4), name


def test_missing_compiler_is_reported_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CXX", "no-such-compiler")
    with pytest.raises(ValueError, match=r"compile: no C\+\+ compiler: .* or set `compile: false`$"):
        fit(tiny(), MASKING, toy_rows, settings(compile=True), context_in(tmp_path))
