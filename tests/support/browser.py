"""Chromium without a window, which shows a page and tells what became of it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.waiting import PATIENCE


def chromium() -> str:
    """The browser of this machine; a test that needs one is skipped where there is none."""
    browser = next(filter(None, map(shutil.which, ("chromium", "google-chrome", "chromium-browser"))), None)
    if browser is None:
        pytest.skip("no Chromium on this machine")
    return browser


def shown(page: Path | str, seconds: int = 3) -> str:
    """The document as it stands once the page's scripts, had it any, have run so long (by the page's own clock).
    `page`: a file or an address."""
    budget = f"--virtual-time-budget={seconds * 1000}"
    switches = (
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--window-size=2400,1000",
        budget,
        "--dump-dom",
    )
    done = subprocess.run(
        [chromium(), *switches, str(page)], capture_output=True, text=True, timeout=PATIENCE, check=True
    )
    return done.stdout
