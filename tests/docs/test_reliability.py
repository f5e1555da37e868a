"""The tests and the repair commands that docs/reliability.md names exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from kepipe.cli import app

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("table", ["| promise |", "| damaged |"])
def test_every_promise_has_a_test(table: str) -> None:
    promises = PAGE.partition(table)[2].partition("\n\n")[0]
    rows = [line for line in promises.splitlines() if line.startswith("| ")]
    assert len(rows) > 9
    for row in rows:
        tests = re.findall(r"`(tests/[^`]+)`", row.strip("| ").rpartition(" | ")[2])
        assert tests, row
        assert [test for test in tests if not (ROOT / test).exists()] == [], row


def test_commands_of_the_page_exist() -> None:
    commands = {tuple(line.split()) for line in re.findall(r"`kepipe ([a-z][^`]*)`", PAGE)}
    assert ("cache", "clear", "--unfinished") in commands
    for command in sorted(commands):
        words = [word for word in command if not word.startswith("--")]
        options = [word for word in command if word.startswith("--")]
        shown = CliRunner().invoke(app, [*words, "--help"], terminal_width=200)
        assert shown.exit_code == 0, command
        assert all(option in shown.output for option in options), command
