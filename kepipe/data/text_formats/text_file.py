"""A file of text as its reader sees it: one on disk, plain or packed, or a member of an archive."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from io import BufferedIOBase
from pathlib import Path

from kepipe.data.line_readers import stream_lines
from kepipe.data.watched_records import KEYS
from kg.problems import Problems
from kg.sources.account import Account

LARGEST = 1 << 30
"""Bytes of the largest file that is read as a whole."""


@dataclass(frozen=True)
class TextFile:
    """`path`: the file on disk, which problems name; `name`: without what says that it is packed; `id`: its path in the
    folder that was named, without endings; `member`: its name in an archive, "" where it is in none."""

    path: Path
    name: str
    id: str
    open: Callable[[], AbstractContextManager[BufferedIOBase]]
    member: str = ""
    documents: str = "auto"
    """Where in a plain text documents end: at the end of the "file", at each "blank-line" or "line", or as it seems."""
    note: Callable[[str], None] = lambda _line: None
    """Told how the file was read, where that was not plain."""
    account: Account = field(default_factory=Account)
    """Of all files that are read together: what was taken and what was left out."""

    def problem(self, problems: Problems, line: int, message: str) -> None:
        """Record what is wrong at a line."""
        problems.add(self.path, line, f"{self.member}: {message}" if self.member else message)

    def count_values(self, counts: Mapping[str, int], taken: Container[str]) -> None:
        """Tell of how many documents a key or a column was read, or was left out."""
        for name, count in counts.items():
            (self.account.take if name in taken else self.account.leave)(KEYS, name, count)

    def lines(self, problems: Problems) -> Iterator[tuple[int, str]]:
        """The lines without their ends, numbered from 1; one that is no UTF-8 is a problem."""
        with self.open() as stream:
            yield from stream_lines(stream, self.path, problems)

    def whole(self, problems: Problems) -> str | None:
        """The text, with "\\n" at the end of each line; None, and a problem, where it is no UTF-8 or has more than
        a gibibyte."""
        with self.open() as stream:
            raw = stream.read(LARGEST + 1)
        if len(raw) > LARGEST:
            self.problem(
                problems, 0, f"larger than {LARGEST >> 20} MB, as which no text is read in one piece"
            )
            return None
        try:
            text = raw.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            line = raw.count(b"\n", 0, error.start) + 1
            self.problem(problems, line, f"invalid UTF-8 at byte {error.start} of the file")
            return None
        return text.replace("\r\n", "\n").replace("\r", "\n")

    @property
    def full_id(self) -> str:
        """The id with the ending, for kinds of files that lie beside others of their name."""
        return self.id + Path(self.name).suffix

    @property
    def stem(self) -> str:
        """The name without folder and ending."""
        return Path(self.name).stem
