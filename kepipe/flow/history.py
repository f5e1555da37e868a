"""History of a schedule's runs: one JSON line each, newest last."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from pydantic import TypeAdapter

from kepipe.files import lock, replacing
from kg.regular_files import read_small

KEPT = 500
"""Runs kept for each schedule; the file holds up to twice as many before it is trimmed."""
FILE = "history.jsonl"


@dataclass(frozen=True)
class Result:
    """Result of a scheduled run. `outcome`: "finished", "failed", "timed out", "stopped", or "skipped" because another
    run was in progress. `seconds` and exit `code` are those of the last attempt, `log` is the file of its output."""

    started: float
    """Unix time."""
    seconds: float
    outcome: str
    code: int | None = None
    log: str = ""
    reason: str = ""
    """Why the trigger fired."""
    attempts: int = 1


_RESULT = TypeAdapter(Result)


def remember(workspace: Path, name: str, result: Result) -> None:
    """Append a run to the history of a schedule."""
    file = _file(workspace, name)
    with lock(file.with_suffix(".lock")):
        lines = file.read_bytes().splitlines() if file.is_file() else []
        if len(lines) >= 2 * KEPT:
            with replacing(file) as unfinished:
                unfinished.write_bytes(b"".join(line + b"\n" for line in lines[-KEPT:]))
        with file.open("ab") as stream:
            if lines and not file.read_bytes().endswith(b"\n"):  # a kill cut the last line
                stream.write(b"\n")
            stream.write(json.dumps(asdict(result)).encode() + b"\n")


def results(workspace: Path, name: str) -> Iterator[Result]:
    """The runs of a schedule, the newest first; damaged lines are skipped."""
    try:
        lines = read_small(_file(workspace, name)).splitlines()
    except (OSError, ValueError):
        return
    for line in reversed(lines):
        try:
            yield _RESULT.validate_json(line)
        except ValueError:
            continue


def last_result(workspace: Path, name: str, only: str = "") -> Result | None:
    """The last run, or the last with outcome `only`; None if there is none."""
    return next((each for each in results(workspace, name) if only in ("", each.outcome)), None)


def _file(workspace: Path, name: str) -> Path:
    return workspace / "schedule" / name / FILE
