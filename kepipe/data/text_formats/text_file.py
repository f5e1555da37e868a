"""A text file to be read: a file on disk, plain or compressed, or a member of an archive."""

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
"""Maximum size in bytes of a file that is read as a whole."""


@dataclass(frozen=True)
class TextFile:
    """`path`: the file on disk, as named in problems; `name`: without the extension of a compression; `id`: its path in
    the input folder, without extensions; `member`: its name in an archive, or ""."""

    path: Path
    name: str
    id: str
    open: Callable[[], AbstractContextManager[BufferedIOBase]]
    member: str = ""
    documents: str = "auto"
    """How documents are separated in plain text: each "file", "blank-line" or "line"; "auto": detected."""
    note: Callable[[str], None] = lambda _line: None
    """Called with a message if the layout of the file was detected."""
    account: Account = field(default_factory=Account)
    """Counts over all files that are read together: imported and skipped values."""

    def problem(self, problems: Problems, line: int, message: str) -> None:
        """Report a problem at a line."""
        problems.add(self.path, line, f"{self.member}: {message}" if self.member else message)

    def count_values(self, counts: Mapping[str, int], taken: Container[str]) -> None:
        """Count the documents in which a key or a column was read, or skipped."""
        for name, count in counts.items():
            (self.account.take if name in taken else self.account.leave)(KEYS, name, count)

    def lines(self, problems: Problems) -> Iterator[tuple[int, str]]:
        """Numbered lines without line ends, from 1; invalid UTF-8 is reported as a problem."""
        with self.open() as stream:
            yield from stream_lines(stream, self.path, problems)

    def read_all(self, problems: Problems) -> str | None:
        """The text with "\\n" as line end; None, with a problem, if it is invalid UTF-8 or larger than a gibibyte."""
        with self.open() as stream:
            raw = stream.read(LARGEST + 1)
        if len(raw) > LARGEST:
            self.problem(
                problems, 0, f"larger than {LARGEST >> 20} MB, the maximum for a text that is read as a whole"
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
        """The id with the extension, for formats whose files may lie next to others with the same name."""
        return self.id + Path(self.name).suffix

    @property
    def stem(self) -> str:
        """The name without folder and extension."""
        return Path(self.name).stem
