"""Memory kept by the allocator during training; dtypes of devices; prediction on the best device."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from kepipe.api.loading import load
from kepipe.cli.generate import open_writer
from kepipe.device import exact
from kepipe.tracking.mask_predictor import MaskPredictor
from kepipe.tracking.text_predictor import TextPredictor
from tests.support.tasks import base_model

SOURCES = sorted((Path(__file__).parents[2] / "kepipe").rglob("*.py"))

PROGRAM = """
import resource
import psutil
import torch
from kepipe.device import freed_memory_kept

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):
        torch.ones(16 << 20)  # 64 MB
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

def held():
    return psutil.Process().memory_info().rss >> 20

faults()
at_first = held()
with freed_memory_kept("cpu"):
    faults()
    print(faults(), held() - at_first)
print(held() - at_first)
with freed_memory_kept("cuda"):
    print(faults())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="the C library is not glibc")
def test_allocator_reuses_pages_during_training_and_releases_them_after() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=True)
    inside, after, usual = done.stdout.splitlines()
    faults, kept = map(int, inside.split())
    assert faults < 100, "pages of a freed and reallocated tensor are not cleared again"
    assert kept >= 60
    assert int(after) < 10
    assert int(usual) >= 1000, "outside, allocation is as usual"


def test_mps_has_no_float64() -> None:
    kinds = [exact(torch.device(name)) for name in ("cpu", "cuda", "mps")]
    assert kinds == [torch.float64, torch.float64, torch.float32]


def test_float64_is_used_only_on_the_cpu() -> None:
    """Or by `exact`: another device may lack float64."""
    pattern = r"^.*(?:(?<!\.cpu\(\))\.double\(\)|torch\.float64[^\n]*device=).*$"
    found = [line for file in SOURCES for line in re.findall(pattern, file.read_text(), re.MULTILINE)]
    on_the_cpu = {
        "        losses[test] = torch.cat(pieces).double().numpy()",
        "        return (found_BT + letters_BT).double().numpy()",
        "        return cls(*(torch.from_numpy(each).double().to(device) for each in (features, sign, importance)))",
    }
    assert set(found) == on_the_cpu


@pytest.fixture
def _best_device_is_meta(monkeypatch: pytest.MonkeyPatch) -> None:
    """ "meta" stands for a GPU: models can be moved there, wherever this runs."""
    monkeypatch.setattr(torch.accelerator, "is_available", lambda: True)
    monkeypatch.setattr(torch.accelerator, "current_accelerator", lambda: torch.device("meta"))


OPENED: dict[str, tuple[str, Callable[[Path], object]]] = {
    "generate, few-shot, perplexity": ("gpt2", lambda at: open_writer(str(at), None, None).language_model),
    "a writer of Python": ("gpt2", lambda at: load(at)._writer.language_model),
    "a writer of MLflow": ("gpt2", lambda at: TextPredictor.load(at)._model),
    "a filler of masks": ("bert", lambda at: MaskPredictor.load(at)._model),
}


@pytest.mark.usefixtures("_best_device_is_meta")
@pytest.mark.parametrize("name", OPENED)
def test_prediction_uses_the_best_device(name: str, tmp_path: Path) -> None:
    family, opened = OPENED[name]
    answering = opened(base_model(tmp_path, family).folder)
    weights = answering.model.parameters()  # type: ignore[attr-defined]
    assert {weight.device.type for weight in weights} == {"meta"}
