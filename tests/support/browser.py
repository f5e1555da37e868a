"""Chromium without a window, which shows a page and tells what became of it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest


def chromium() -> str:
    """The browser of this machine; a test that needs one is skipped where there is none."""
    browser = next(filter(None, map(shutil.which, ("chromium", "google-chrome", "chromium-browser"))), None)
    if browser is None:
        pytest.skip("no Chromium on this machine")
    return browser


def shown(page: Path) -> str:
    """The document as it stands once the page's scripts, had it any, have run."""
    switches = ("--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=3000", "--dump-dom")
    done = subprocess.run(
        [chromium(), *switches, str(page)], capture_output=True, text=True, timeout=300, check=True
    )
    return done.stdout
