"""Delivery position of a journal: a small file beside it, replaced atomically."""

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
    """`sent` bytes of the journal are in `store`; after a kill, those up to `sending` may be there too."""

    store: str
    sent: int = 0
    sending: int = 0
    done: bool = False
    refused: list[str] = field(default_factory=list)
    """Events that the store rejected, with reasons."""
    registered: list[dict[str, Any]] = field(default_factory=list)
    """Model versions that this run registered."""
    unavailable: str = ""
    """Why the store could not be reached at the last attempt; empty if it could."""

    @classmethod
    def load(cls, journal: Path, store: str | None = None) -> Self:
        """The cursor of a journal; a new one if the journal was being delivered to another store than `store`.

        `store`: a URI, which is saved without user and password.
        """
        address = without_secrets(store or "")
        try:
            cursor = TypeAdapter(cls).validate_json(journal.with_suffix(SUFFIX).read_bytes())
            if cursor.sent > journal.stat().st_size:  # belongs to another journal
                return cls(address)
        except (FileNotFoundError, ValueError):
            return cls(address)
        return cursor if cursor.done or store is None or cursor.store == address else cls(address)

    def save(self, journal: Path) -> None:
        """Write the file beside the journal, atomically."""
        with replacing(journal.with_suffix(SUFFIX), durable=False, concurrent=True) as unfinished:
            unfinished.write_text(json.dumps(asdict(self)))


def journals(workspace: Path) -> list[Path]:
    """Every journal of the workspace, oldest first."""
    return sorted((workspace / "tracking").glob("*.jsonl"), key=lambda file: (_start_time(file), file.name))


def pending(workspace: Path) -> int:
    """Number of ended runs that are not completely delivered."""
    return sum(not Cursor.load(file).done and not is_written(file) for file in journals(workspace))


def journal_of(workspace: Path, run: str) -> Path:
    """The journal of a run."""
    return workspace / "tracking" / f"{run}.jsonl"


def trials_of(journal: Path) -> list[Path]:
    """The journals of a tuning's trials, beside its own, oldest first."""
    return sorted(
        journal.parent.glob(f"{journal.stem}.*.jsonl"), key=lambda file: (_start_time(file), file.name)
    )


def _start_time(journal: Path) -> float:
    """Start of the run, from the first line of its journal; infinity for an empty journal."""
    with journal.open("rb") as stream:
        line = stream.readline()
    try:
        return float(parse_json(line)["at"])
    except (ValueError, KeyError, TypeError):
        return float("inf")


def forget_cursors(workspace: Path) -> None:
    """Delete all cursors, so that every journal is delivered again from its beginning."""
    for journal in journals(workspace):
        with claim(journal) as acquired:
            if acquired:
                journal.with_suffix(SUFFIX).unlink(missing_ok=True)


def claim(journal: Path, timeout: float = 0) -> AbstractContextManager[bool]:
    """Hold the delivery lock of a journal; False if another process holds it for `timeout` seconds; -1: wait for it."""
    return lock(journal.with_suffix(".delivery"), timeout)
