"""Archives of texts: `.zip`, `.tar`, and compressed `.tar.gz`, `.tar.bz2`, `.tar.xz`, `.tar.zst`. Nothing is unpacked
to disk."""

from __future__ import annotations

import io
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO

from kg.problems import Problems
from kg.regular_files import open_regular
from kg.sources.reading import FREE, TIMES, open_bytes

ENDINGS = (".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz", ".tar.zst")
_MOST_MEMBERS = 1_000_000

Opener = Callable[[], AbstractContextManager[io.BufferedIOBase]]


def is_archive(name: str) -> bool:
    """Whether a file name has the extension of an archive."""
    return name.lower().endswith(ENDINGS)


def members(file: Path, problems: Problems) -> Iterator[tuple[str, Opener]]:
    """Yield the files in an archive: the name, and a function that opens the file before the next one is requested.
    Raises ValueError if the unpacked members are so much larger than the archive that it may be a decompression
    bomb."""
    try:
        yield from _zipped(file) if file.name.lower().endswith(".zip") else _tarred(file)
    except (zipfile.BadZipFile, tarfile.TarError, NotImplementedError, RuntimeError) as error:
        problems.add(file, 0, f"not an archive that can be read from here on ({error})")


def _zipped(file: Path) -> Iterator[tuple[str, Opener]]:
    with open_regular(file) as stream, zipfile.ZipFile(stream) as archive:
        budget = _Budget(file)
        if len(archive.infolist()) > _MOST_MEMBERS:
            raise ValueError(f"{file}: more than {_MOST_MEMBERS:,} files in one archive: refused")
        for info in archive.infolist():
            if not info.is_dir():
                yield info.filename, partial(budget.open, archive, info)


def _tarred(file: Path) -> Iterator[tuple[str, Opener]]:
    with open_bytes(file, lambda _: None) as stream, tarfile.open(fileobj=stream, mode="r|") as archive:
        budget = _Budget(file)
        for info in archive:
            if info.isreg() and (content := archive.extractfile(info)) is not None:
                yield info.name, partial(io.BytesIO, budget.take(content))


class _Budget:
    """Maximum number of bytes that the members of an archive may unpack to."""

    def __init__(self, file: Path) -> None:
        self._file, self._left = file, max(FREE, TIMES * file.stat().st_size)

    def spend(self, count: int) -> None:
        self._left -= count
        if self._left < 0:
            raise ValueError(
                f"{self._file}: unpacks to more than {TIMES} times its size: refused, as it may be a decompression "
                "bomb; if you trust it, unpack it first"
            )

    def take(self, content: IO[bytes]) -> bytes:
        """The content of a member of a tar archive, which has to be read in order."""
        data = content.read(self._left + 1)
        self.spend(len(data))
        return data

    def open(self, archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> io.BufferedReader:
        """A stream of a member that counts the bytes read against the budget."""
        return io.BufferedReader(_Watched(archive.open(info), self))


class _Watched(io.RawIOBase):
    def __init__(self, content: IO[bytes], budget: _Budget) -> None:
        self._content, self._budget = content, budget

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        data = self._content.read(len(buffer))
        self._budget.spend(len(data))
        buffer[: len(data)] = data
        return len(data)


def path_in(name: str) -> str:
    """A member's path as an id, without components that lead out of the archive."""
    return "/".join(part for part in PurePosixPath(name).parts if part not in ("/", "..", "."))
