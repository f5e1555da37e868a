"""Training on the device: killed and resumed, deterministic for a seed, with several processes."""

from __future__ import annotations

import multiprocessing
import os
import signal
from dataclasses import replace
from typing import Any

import torch

from kepipe.data.batch import TokenRows
from kepipe.flow.stage import StageContext
from kepipe.models.folder import save
from kepipe.training import launch
from tests.gpu.check import Check, Figures, NotHere, Setting
from tests.support.toy_training import MASKING, EventRecorder, equal_weights, fit, settings, tiny, toy_rows


def train_until(setting: Setting, name: str, stop: int | None) -> None:
    """Train in a folder of that name; before batch `stop` the process is killed."""
    torch.set_num_threads(1)

    def rows(number: int) -> TokenRows:
        if number == stop:
            os.kill(os.getpid(), signal.SIGKILL)
        return toy_rows(number)

    model = tiny()
    # at once: the kill may come before a thread has written
    fit(model, MASKING, rows, settings(async_checkpoints=False), setting.context(name))
    save(setting.folder / name / "out", model)


def resumed(setting: Setting) -> Figures:
    """A training that was killed in the middle of its second checkpoint's steps ends as one that ran through."""
    train_until(setting, "through", None)
    # CUDA cannot be used after a fork; without it a fork saves loading torch anew.
    kind: Any = multiprocessing.get_context("spawn" if setting.on_gpu else "fork")
    killed = kind.Process(target=train_until, args=(setting, "killed", 7), daemon=True)
    killed.start()
    killed.join(120)
    assert killed.exitcode == -signal.SIGKILL, f"the process ended with {killed.exitcode}, not by the kill"
    kept = sorted(path.name for path in (setting.folder / "killed" / "scratch" / "checkpoints").iterdir())
    assert kept == ["step-00000004"], f"checkpoints after the kill: {kept}"
    train_until(setting, "killed", None)
    through, continued = (weights_of(setting, name) for name in ("through", "killed"))
    apart = max(float((through[name] - continued[name]).abs().max()) for name in through)
    assert apart <= (1e-4 if setting.on_gpu else 0.0), f"weights are {apart:.1e} apart"
    return {"apart": apart}


def weights_of(setting: Setting, name: str) -> dict[str, torch.Tensor]:
    from kepipe.models.files import read_tensors

    return read_tensors(setting.folder / name / "out" / "model.safetensors")


def seeds(setting: Setting) -> Figures:
    """Two runs with one seed: the same bytes in torch's deterministic mode; how far apart otherwise is a figure."""
    figures = Figures()
    for mode in ("deterministic", "default"):
        torch.use_deterministic_algorithms(mode == "deterministic")
        try:
            models = [tiny(), tiny()]
            for number, model in enumerate(models):
                fit(model, MASKING, toy_rows, settings(), setting.context(f"{mode}-{number}"))
        finally:
            torch.use_deterministic_algorithms(False)
        pairs = zip(models[0].parameters(), models[1].parameters(), strict=True)
        figures[f"apart, {mode}"] = max(float((one - other).detach().abs().max()) for one, other in pairs)
        assert mode == "default" or equal_weights(*models), f"apart by {figures[f'apart, {mode}']:.1e}"
    return figures


PARALLEL = ("ddp", "fsdp2")


def _both_ways(_inputs: None, _config: None, context: StageContext) -> None:
    """What each process of a group does."""
    for parallel in PARALLEL:
        its = replace(context, scratch=context.scratch / parallel, stamp={"run": parallel, "stage": ""})
        its.scratch.mkdir(exist_ok=True)
        fit(tiny(), MASKING, toy_rows, settings(accumulate=2, log_every=1, parallel=parallel), its)


def over_processes(setting: Setting) -> Figures:
    """The losses of DDP and FSDP2 over two devices are those of one process, which also resumes from FSDP2's shards."""
    if setting.on_gpu and torch.cuda.device_count() < 2:
        raise NotHere("one GPU; it needs two")
    alone = EventRecorder()
    fit(tiny(), MASKING, toy_rows, settings(accumulate=2, log_every=1), setting.context("alone", alone))
    expected, figures, together = alone.metric("loss"), Figures(), EventRecorder()
    context = setting.context("together", together)
    launch.run(_both_ways, None, None, replace(context, device=torch.device(context.device).type), 2)
    for parallel in PARALLEL:
        recorder = EventRecorder()
        recorder.events = [event for event in together.events if event.run == parallel]
        found = recorder.metric("loss")
        assert found.keys() == expected.keys(), found
        figures[parallel] = max(abs(found[step] / expected[step] - 1) for step in expected)
        assert figures[parallel] < 1e-3, f"{parallel}: {found}, alone: {expected}"
    rest = EventRecorder()
    fit(
        tiny(), MASKING, toy_rows, settings(accumulate=2, log_every=1),
        replace(context, scratch=context.scratch / "fsdp2", sink=rest),
    )  # fmt: skip
    found = rest.metric("loss")
    assert "continuing after step 8" in rest.notes(), rest.notes()
    figures["from shards"] = max(abs(found[step] / expected[step] - 1) for step in found)
    assert figures["from shards"] < 1e-3, f"from shards: {found}, alone: {expected}"
    return figures


CHECKS = (
    Check("resume", "a training that was killed goes on from its checkpoint to the same weights", resumed),
    Check("seed", "two runs with one seed give the same bytes in deterministic mode", seeds),
    Check(
        "processes",
        "DDP and FSDP2 over two devices have the losses of one process, which continues from their shards",
        over_processes,
    ),
)
