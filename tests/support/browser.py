"""Headless Chromium, which renders a page and returns the document."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.waiting import PATIENCE


def chromium() -> str:
    """The browser of this machine; a test that needs one is skipped if there is none."""
    browser = next(filter(None, map(shutil.which, ("chromium", "google-chrome", "chromium-browser"))), None)
    if browser is None:
        pytest.skip("no Chromium on this machine")
    return browser


def shown(page: Path | str, seconds: int = 3) -> str:
    """The document after the page's scripts, if any, have run for `seconds` of virtual time. `page`: a file or a
    URL."""
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
