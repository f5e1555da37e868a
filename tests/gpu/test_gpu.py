"""Every row of the GPU check runs on the CPU at small sizes, and errors are detected."""

from __future__ import annotations

import json
from copy import deepcopy
from itertools import islice
from pathlib import Path

import pytest
import torch
from torch import nn

from tests.gpu import cases, parity
from tests.gpu.__main__ import CHECKS, main
from tests.gpu.check import Check, Figures, NotHere, Setting, outcomes


def test_every_gpu_check_passes_on_the_cpu_at_small_sizes(tmp_path: Path) -> None:
    code = main(["--device", "cpu", "--smoke", "--minutes", "100000", "--out", str(tmp_path)])
    report = json.loads((tmp_path / "gpu-check.json").read_text())
    assert {row["name"]: row["reason"] for row in report["checks"] if row["status"] != "passed"} == {}
    assert [row["name"] for row in report["checks"]] == [check.name for check in CHECKS]
    assert all(row["figures"] for row in report["checks"])
    assert code == 0
    assert (tmp_path / "gpu-check.png").read_bytes().startswith(b"\x89PNG")


def test_gpu_check_names_are_unique() -> None:
    names = [check.name for check in CHECKS]
    assert len(set(names)) == len(names)


def test_failed_gpu_check_does_not_stop_the_others(tmp_path: Path) -> None:
    def broken(_: Setting) -> Figures:
        raise AssertionError("2 is not 1")

    def elsewhere(_: Setting) -> Figures:
        raise NotHere("one GPU; it needs two")

    checks = [Check("broken", "", broken), Check("elsewhere", "", elsewhere), Check("good", "", lambda _: {})]
    found = list(outcomes(checks, Setting("cpu", True, tmp_path), 1.0))
    assert [one.status for one in found] == ["failed", "left out", "passed"]
    assert found[0].reason == "AssertionError: 2 is not 1"
    (late,) = outcomes(checks[2:], Setting("cpu", True, tmp_path), 0.0)
    assert (late.status, late.reason) == ("left out", "the 0 minutes were over")


@pytest.mark.parametrize("kind", ["fp32", "bf16"])
def test_wrong_weight_on_the_device_is_detected(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other copy of the model runs on the CPU."""

    def changed(model: nn.Module) -> nn.Module:
        copy = deepcopy(model)
        with torch.no_grad():
            for weight in copy.parameters():
                weight.mul_(1.3)
        return copy

    monkeypatch.setattr(parity, "deepcopy", changed)
    first = list(islice(cases.families(24), 1))
    monkeypatch.setattr(cases, "families", lambda _length: iter(first))
    with pytest.raises(AssertionError, match=r"bert, mlm: loss off by .*, gradient by"):
        parity.families_in(kind)(Setting("cpu", True, tmp_path))
