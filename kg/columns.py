"""Columns on disk: memory-mapped arrays and strings, which open in constant time."""

from __future__ import annotations

import mmap
from array import array
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice, pairwise
from pathlib import Path
from typing import Any, overload

import numpy as np
import numpy.typing as npt

from kg.arrays import Ints
from kg.regular_files import open_regular

Column = npt.NDArray[Any]


def save(folder: Path, name: str, values: Column) -> None:
    """Write an array as `name.npy`; equal arrays give equal bytes."""
    file = folder / f"{name}.npy"
    # Not overwritten in place: it may be mapped, even by `values` itself, and the process would crash.
    file.unlink(missing_ok=True)
    np.save(file, np.ascontiguousarray(values), allow_pickle=False)


def load(folder: Path, name: str) -> Column:
    """The array of `name.npy`, memory-mapped and read-only. Raises ValueError if it is damaged or missing."""
    file = folder / f"{name}.npy"
    try:
        mapped = np.load(file, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError, FileNotFoundError) as error:
        raise ValueError(f"{file}: {_explain(error)}") from None
    # A plain view: slicing np.memmap itself runs Python code at every slice.
    return np.asarray(mapped).view(np.ndarray)


def _explain(error: object) -> str:
    reason = "missing" if isinstance(error, FileNotFoundError) else f"damaged ({error})"
    return f"{reason}; create the graph or vectors it belongs to again"


def map_bytes(file: Path, scattered: bool = False) -> bytes | mmap.mmap:
    """The content of a file, memory-mapped. `scattered`: accesses are random, so that read-ahead is turned off."""
    with open_regular(file) as stream:
        if stream.seek(0, 2) == 0:
            return b""  # an empty file cannot be mapped
        mapped = mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ)
    if scattered and hasattr(mmap, "MADV_RANDOM"):
        mapped.madvise(mmap.MADV_RANDOM)
    return mapped


def offsets(lengths: npt.ArrayLike) -> Ints:
    """The start of each of n pieces in their concatenation, then the total length: int64 [n + 1]."""
    starts = np.zeros(len(np.asarray(lengths)) + 1, np.int64)
    np.cumsum(lengths, out=starts[1:])
    return starts


def encode(text: str) -> bytes:
    """A text as UTF-8. Raises ValueError for an unpaired surrogate, which JSON can contain ("\\ud800")."""
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        half = text[error.start]
        raise ValueError(f"{text[:40]!r} is not valid text: {half!r} is half of a surrogate pair") from None


class Strings(Sequence[str]):
    """n strings as concatenated UTF-8 bytes and int64 [n + 1] offsets, decoded on access.

    `gap`: bytes after each string that do not belong to it (line ends).
    """

    def __init__(self, starts: Ints, data: bytes | mmap.mmap, gap: int = 0) -> None:
        self._starts, self._data, self._gap = starts, data, gap

    @classmethod
    def load(cls, folder: Path, name: str) -> Strings:
        """The strings that `StringsWriter` wrote under `name`, memory-mapped. Raises ValueError as `load`."""
        starts, file = load(folder, f"{name}.offsets"), folder / f"{name}.utf8"
        try:
            data = map_bytes(file)
        except FileNotFoundError as error:
            raise ValueError(f"{file}: {_explain(error)}") from None
        if len(data) != starts[-1]:
            raise ValueError(f"{file}: {_explain(f'{len(data):,} bytes, expected {starts[-1]:,}')}")
        return cls(starts, data)

    @property
    def starts(self) -> Ints:
        """The byte offset of each string, then the end of the last one: int64 [n + 1]."""
        return self._starts

    def __len__(self) -> int:
        return len(self._starts) - 1

    @overload
    def __getitem__(self, index: int) -> str: ...
    @overload
    def __getitem__(self, index: slice) -> list[str]: ...
    def __getitem__(self, index: int | slice) -> str | list[str]:
        if isinstance(index, slice):
            start, stop, step = index.indices(len(self))
            return [self[place] for place in range(start, stop, step)]
        if index < 0:
            index += len(self)
        if not 0 <= index < len(self):
            raise IndexError(f"row {index} of {len(self)}")
        return str(self._data[self._starts[index] : self._starts[index + 1] - self._gap], "utf-8")

    def take(self, rows: Ints) -> list[str]:
        """The strings of these rows."""
        data, starts, ends = self._data, self._starts[rows], self._starts[rows + 1] - self._gap
        return [
            str(data[start:end], "utf-8") for start, end in zip(starts.tolist(), ends.tolist(), strict=True)
        ]

    def __iter__(self) -> Iterator[str]:
        return (str(text, "utf-8") for text in self.encoded())

    def encoded(self) -> Iterator[bytes]:
        """The strings as UTF-8, as they are stored."""
        block = 65_536
        for first in range(0, len(self), block):
            bounds = self._starts[first : first + block + 1].tolist()
            data, base = self._data[bounds[0] : bounds[-1]], bounds[0]
            for start, end in pairwise(bounds):
                yield data[start - base : end - base - self._gap]

    def places(self, text: str) -> list[int]:
        """The rows of the strings equal to `text`, ascending, by a search of the bytes without an index."""
        data = text.encode()
        if not data:
            return np.flatnonzero(np.diff(self._starts) == self._gap).tolist()
        found: list[int] = []
        at = self._data.find(data)
        while at >= 0:
            row = int(np.searchsorted(self._starts, at, "right")) - 1
            end = int(self._starts[row + 1]) - self._gap
            if at == self._starts[row] and at + len(data) == end:
                found.append(row)
            at = self._data.find(data, end)  # a match that begins inside a row cannot equal it
        return found


class StringsWriter:
    """Writes a stream of strings; only their lengths stay in memory."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder, self._name = folder, name
        file = folder / f"{name}.utf8"
        file.unlink(missing_ok=True)  # as in `save`
        self._stream = file.open("wb")
        self._lengths = array("q")

    def append(self, text: str | bytes) -> None:
        """Write one string, or the UTF-8 of one."""
        data = encode(text) if isinstance(text, str) else text
        self._stream.write(data)
        self._lengths.append(len(data))

    def extend(self, texts: Sequence[str]) -> None:
        """Write several strings at once."""
        together = "".join(texts)
        self._stream.write(together.encode())
        # In ASCII, one character is one byte.
        self._lengths.extend(map(len, texts if together.isascii() else map(str.encode, texts)))

    def extend_arrow(self, texts: Any) -> None:
        """Write the strings of a pyarrow.LargeStringArray."""
        _, starts, data = texts.buffers()
        if len(texts):
            bounds = np.frombuffer(starts, np.int64)[texts.offset : texts.offset + len(texts) + 1]
            self._stream.write(memoryview(data)[bounds[0] : bounds[-1]])
            self._lengths.frombytes(np.diff(bounds).tobytes())

    def extend_empty(self, count: int) -> None:
        """Write `count` empty strings."""
        self._lengths.frombytes(bytes(self._lengths.itemsize * count))

    def close(self) -> None:
        """Flush and write the offsets. The strings can be loaded only after this."""
        self._stream.close()
        save(self._folder, f"{self._name}.offsets", offsets(np.frombuffer(self._lengths, np.int64)))


def save_strings(folder: Path, name: str, texts: Iterable[str]) -> None:
    """Write all of `texts` under `name`."""
    writer, rest = StringsWriter(folder, name), iter(texts)
    while block := list(islice(rest, 65_536)):
        writer.extend(block)
    writer.close()
