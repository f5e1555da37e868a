"""How far a journal has been delivered: a small file beside it, replaced by one rename."""

from __future__ import annotations

import json
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

from pydantic import TypeAdapter

from kepipe.files import lock, replacing
from kepipe.flow.journal import is_written
from kepipe.redaction import without_secrets
from kg.regular_files import parse_json

SUFFIX = ".cursor"


@dataclass
class Cursor:
    """`sent` bytes of the journal are in `store` for sure; those up to `sending` may be, after a kill."""

    store: str
    sent: int = 0
    sending: int = 0
    done: bool = False
    refused: list[str] = field(default_factory=list)
    """What the store would not take, and why."""
    registered: list[dict[str, Any]] = field(default_factory=list)
    """Versions of models that came of this run."""
    unavailable: str = ""
    """Why the store could not be reached at the last attempt; empty if it could."""

    @classmethod
    def load(cls, journal: Path, store: str | None = None) -> Self:
        """The cursor of a journal. One that was being delivered to another store than `store` starts again.

        `store`: an address, which is kept without user and password.
        """
        address = without_secrets(store or "")
        try:
            cursor = TypeAdapter(cls).validate_json(journal.with_suffix(SUFFIX).read_bytes())
            if cursor.sent > journal.stat().st_size:  # of another journal
                return cls(address)
        except (FileNotFoundError, ValueError):
            return cls(address)
        return cursor if cursor.done or store is None or cursor.store == address else cls(address)

    def save(self, journal: Path) -> None:
        """Write beside the journal, whole or not at all."""
        with replacing(journal.with_suffix(SUFFIX), durable=False, concurrent=True) as unfinished:
            unfinished.write_text(json.dumps(asdict(self)))


def journals(workspace: Path) -> list[Path]:
    """Every journal of the workspace, oldest first."""
    return sorted((workspace / "tracking").glob("*.jsonl"), key=lambda file: (_born(file), file.name))


def pending(workspace: Path) -> int:
    """Number of ended runs that have not been delivered to the end."""
    return sum(not Cursor.load(file).done and not is_written(file) for file in journals(workspace))


def journal_of(workspace: Path, run: str) -> Path:
    """The journal of a run."""
    return workspace / "tracking" / f"{run}.jsonl"


def trials_of(journal: Path) -> list[Path]:
    """The journals of a tuning's trials, beside its own, oldest first."""
    return sorted(journal.parent.glob(f"{journal.stem}.*.jsonl"), key=lambda file: (_born(file), file.name))


def _born(journal: Path) -> float:
    """When the run began, by its first line; an empty journal is the newest."""
    with journal.open("rb") as stream:
        line = stream.readline()
    try:
        return float(parse_json(line)["at"])
    except (ValueError, KeyError, TypeError):
        return float("inf")


def forget_cursors(workspace: Path) -> None:
    """Let every journal be delivered again, from its beginning."""
    for journal in journals(workspace):
        with claim(journal) as mine:
            if mine:
                journal.with_suffix(SUFFIX).unlink(missing_ok=True)


def claim(journal: Path) -> AbstractContextManager[bool]:
    """Hold the right to deliver a journal; False where another process has it."""
    return lock(journal.with_suffix(".delivery"), timeout=0)
