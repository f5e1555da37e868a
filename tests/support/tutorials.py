"""A tutorial's page as a user follows it: files written, commands typed, Python run, one after the other. Blocks of
another language than these are shown alone."""

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
"""Commands that `--set` makes smaller."""


@dataclass
class Tutorial:
    """`name`: of a page in `docs/tutorials`, `../retraining` of one in `docs`. `smaller`: pipeline file → settings by
    which its commands take seconds. `before`: what happens before the command that begins so, each time."""

    name: str
    smaller: Mapping[str, Sequence[str]]
    before: Mapping[str, Callable[[], None]] = field(default_factory=dict)
    typed: list[tuple[str, str]] = field(default_factory=list)
    """Each command with what it said."""
    names: dict[str, Any] = field(default_factory=dict)
    """What the page's Python has left."""
    printed: str = ""
    """What it has printed."""

    def follow(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        """Do in a folder what the page says. Raises AssertionError for a command that fails."""
        patch.chdir(folder)
        patch.setenv("KEPIPE_TRACKING", "off")  # `kepipe track sync` delivers: it takes no process more
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

    def said(self, command: str) -> str:
        """What the last command that begins so said."""
        return next(output for typed, output in reversed(self.typed) if typed.startswith(command))

    def _write(self, block: str) -> None:
        """A file, named on its first line."""
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
        for begins, happens in self.before.items():
            if line.startswith(begins):
                happens()
        smaller: list[str] = []
        if any(words[1 : 1 + len(each)] == each for each in TAKES_SETTINGS):
            smaller = [word for one in self._settings(words) for word in ("--set", one)]
        ended = CliRunner().invoke(app, [*words[1:], *smaller])
        self.typed.append((line, ended.output))
        assert ended.exit_code == 0, f"{line}\n{ended.output}\n{ended.exception!r}"

    def _settings(self, words: Sequence[str]) -> Sequence[str]:
        return next((settings for file, settings in self.smaller.items() if file in words), ())
