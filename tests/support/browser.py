"""Chromium without a window, which shows a page and tells what became of it."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Page, sync_playwright

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


@contextmanager
def window() -> Iterator[Page]:
    """A page that is drawn as if it were seen, with its clock running."""
    with sync_playwright() as play:
        opened = play.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
        page = opened.new_page(viewport={"width": 1600, "height": 1200})
        page.set_default_timeout(PATIENCE * 1000)
        yield page
        opened.close()
