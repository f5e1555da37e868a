"""docs/results.md is what its command prints."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from kepipe.cli import app

ROOT = Path(__file__).parents[2]


def test_page_is_the_output_of_its_command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    page = ROOT / "docs" / "results.md"
    written = page.read_text(encoding="utf-8")
    kepipe, *words = shlex.split(written.split("```")[1])
    assert (kepipe, words[-2:]) == ("kepipe", ["--out", "docs/results.md"])
    monkeypatch.chdir(ROOT)
    again = tmp_path / "results.md"
    printed = CliRunner().invoke(app, [*words[:-1], str(again)])
    assert printed.exit_code == 0, printed.output
    assert again.read_text(encoding="utf-8") == written.replace(
        "--out docs/results.md", shlex.join(["--out", str(again)])
    )
