"""Follows a tutorial's page as a user does: writes files, runs commands and Python in order. Blocks of other languages
are ignored."""

from __future__ import annotations

import io
import re
import shlex
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from kepipe.cli import app

PAGES = Path(__file__).parents[2] / "docs" / "tutorials"
TAKES_SETTINGS = (["run"], ["config", "check"], ["schedule", "add"])
"""Commands to which `--set` with smaller settings is added."""


@dataclass
class Tutorial:
    """`name`: of a page in `docs/tutorials`, `../retraining` of one in `docs`. `smaller`: pipeline file → settings with
    which its commands take seconds. `before`: prefix of a command → function called before each such command."""

    name: str
    smaller: Mapping[str, Sequence[str]]
    before: Mapping[str, Callable[[], None]] = field(default_factory=dict)
    typed: list[tuple[str, str]] = field(default_factory=list)
    """Each command with its output."""
    names: dict[str, Any] = field(default_factory=dict)
    """Variables of the page's Python code."""
    printed: str = ""
    """Output of the page's Python code."""

    def follow(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        """Follow the page in a folder. Raises AssertionError if a command fails."""
        patch.chdir(folder)
        # Delivery by `kepipe track sync` only, without a background process.
        patch.setenv("KEPIPE_TRACKING", "off")
        for variable in ("KEPIPE_WORKSPACE", "MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI"):
            patch.delenv(variable, raising=False)
        page = (PAGES / f"{self.name}.md").read_text(encoding="utf-8")
        for language, block in re.findall(r"^```(\w*)\n(.*?)^```", page, re.MULTILINE | re.DOTALL):
            if language == "yaml":
                self._write(block)
            elif language == "python":
                self._run(block)
            elif not language:
                for line in block.replace("\\\n", " ").splitlines():
                    if line.strip():
                        self._type(line, patch)

    def output_of(self, command: str) -> str:
        """The output of the last command with this prefix."""
        return next(output for typed, output in reversed(self.typed) if typed.startswith(command))

    def _write(self, block: str) -> None:
        """Write a file, whose name is in its first line."""
        name = block.partition("\n")[0].removeprefix("# ")
        Path(name).write_text(block, encoding="utf-8")

    def _run(self, block: str) -> None:
        with redirect_stdout(io.StringIO()) as printed:
            exec(compile(block, self.name, "exec"), self.names)
        self.printed += printed.getvalue()

    def _type(self, line: str, patch: pytest.MonkeyPatch) -> None:
        words = shlex.split(line, comments=True)
        if words[:1] == ["export"]:
            name, _, value = words[1].partition("=")
            patch.setenv(name, value)
            return
        assert words[0] == "kepipe", line
        for prefix, function in self.before.items():
            if line.startswith(prefix):
                function()
        smaller: list[str] = []
        if any(words[1 : 1 + len(prefix)] == prefix for prefix in TAKES_SETTINGS):
            smaller = [word for setting in self._settings(words) for word in ("--set", setting)]
        result = CliRunner().invoke(app, [*words[1:], *smaller])
        self.typed.append((line, result.output))
        assert result.exit_code == 0, f"{line}\n{result.output}\n{result.exception!r}"

    def _settings(self, words: Sequence[str]) -> Sequence[str]:
        return next((settings for file, settings in self.smaller.items() if file in words), ())
