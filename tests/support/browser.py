"""Headless Chromium, which renders a page and returns the document."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Page, sync_playwright

from tests.support.waiting import TIMEOUT


def chromium() -> str:
    """The browser of this machine; a test that needs one is skipped if there is none."""
    browser = next(filter(None, map(shutil.which, ("chromium", "google-chrome", "chromium-browser"))), None)
    if browser is None:
        pytest.skip("no Chromium on this machine")
    return browser


def rendered(page: Path | str, seconds: int = 3) -> str:
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
    process = subprocess.run(
        [chromium(), *switches, str(page)], capture_output=True, text=True, timeout=TIMEOUT, check=True
    )
    return process.stdout


@contextmanager
def window() -> Iterator[Page]:
    """A page that is rendered as if visible, with its clock running."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium(), args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1600, "height": 1200})
        page.set_default_timeout(TIMEOUT * 1000)
        yield page
        browser.close()
