"""A short form of `make faults`: scheduler and runs are killed at random times."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.faults.cases import CASES, kills, why_not


def test_random_kills_lose_no_run(tmp_path: Path) -> None:
    assert list(kills(tmp_path, count=4, seed=0, server=False, longest=3.0)) == []


def test_clock_jumps_of_an_hour_lose_no_run(tmp_path: Path) -> None:
    if reason := why_not("clock jumps"):
        pytest.skip(reason)
    assert list(CASES["clock jumps"](tmp_path)) == []
