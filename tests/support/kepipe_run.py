"""`kepipe run` in a separate process or in that of the test, and the example pipeline at a size that takes seconds."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

import pytest
from typer.testing import CliRunner

from kepipe.cli import app

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "docs" / "example" / "pipeline.yaml"
TINY = (
    "stages.link.spacy_model=null",
    "stages.embed.epochs=6",
    "stages.embed.dim=8",
    "stages.pretrain.steps=24",
    "stages.pretrain.batch_tokens=512",
    "stages.pretrain.log_every=2",
    "stages.pretrain.eval_every=8",
    "stages.pretrain.checkpoint_every=8",
    "stages.pretrain.base={family: bert, hidden: 32, layers: 1, heads: 2}",
)


@dataclass
class Outcome:
    """Result of a command."""

    code: int
    events: list[dict[str, Any]]
    errors: str

    def statuses(self) -> dict[str, str]:
        """Stage → "cached", "finished" or "failed"."""
        statuses = {}
        for event in self.events:
            if event["event"] == "StageCached":
                statuses[event["stage"]] = "cached"
            elif event["event"] == "StageEnded":
                statuses[event["stage"]] = event["status"]
        return statuses


@dataclass
class Kepipe:
    """Runs `kepipe` on a workspace."""

    workspace: Path
    pipeline: Path = EXAMPLE

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "kepipe", *arguments, "--workspace", str(self.workspace)]

    def run_here(self, *arguments: str, settings: Sequence[str] = TINY) -> Outcome:
        """`kepipe run --log-json` in this process, for tests of results rather than of exit codes."""
        command = self._arguments(arguments, settings)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("KEPIPE_TRACKING", "off")
            result = CliRunner().invoke(app, command)
        events = [json.loads(line) for line in result.stdout.splitlines() if line.startswith("{")]
        return Outcome(result.exit_code, events, f"{result.stderr}{result.exception or ''}")

    def _arguments(self, arguments: Sequence[str], settings: Sequence[str]) -> list[str]:
        flags = [flag for setting in settings for flag in ("--set", setting)]
        pipeline = ("run", str(self.pipeline), "--log-json")
        return [*pipeline, *flags, *arguments, "--workspace", str(self.workspace)]

    def run(
        self,
        *arguments: str,
        settings: Sequence[str] = TINY,
        kill_at: Callable[[Mapping[str, Any]], bool] | None = None,
        kill_by: signal.Signals = signal.SIGKILL,
        limits: Callable[[], None] | None = None,
    ) -> Outcome:
        """`kepipe run --log-json`, killed at the first event that `kill_at` accepts."""
        # Errors go to a file: a killed run's worker processes may keep a pipe open for a while.
        with tempfile.TemporaryFile("w+") as errors:
            process = subprocess.Popen(
                [sys.executable, "-m", "kepipe", *self._arguments(arguments, settings)],
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
                env={**os.environ, "OMP_NUM_THREADS": "1", "KEPIPE_TRACKING": "off"},
                preexec_fn=limits,
            )
            events = []
            with process, cast(IO[str], process.stdout) as lines:
                for line in lines:
                    if not line.startswith("{"):
                        continue
                    events.append(json.loads(line))
                    if kill_at is not None and kill_at(events[-1]):
                        process.send_signal(kill_by)
                        kill_at = None
                        if kill_by == signal.SIGKILL:
                            break  # its worker processes keep the pipe open for a while
            errors.seek(0)
            return Outcome(process.returncode, events, errors.read())
