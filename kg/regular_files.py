"""Safe reading of untrusted files: no endless pipes, no text that exhausts memory."""

from __future__ import annotations

import json
import os
import stat
from io import BufferedReader
from pathlib import Path
from typing import Any

SMALL = 64 << 20
"""Maximum bytes of a small file that is read as a whole: settings, a config, a tokenizer, an index of weights."""
LONGEST_LINE = 256 << 20
"""Maximum bytes of a line; a text of a corpus may be a book."""
_KINDS = {
    stat.S_IFIFO: "a pipe", stat.S_IFSOCK: "a socket", stat.S_IFCHR: "a device", stat.S_IFBLK: "a device",
}  # fmt: skip


def open_regular(file: Path) -> BufferedReader:
    """Open a file for reading bytes. Raises ValueError for a pipe, a device or a socket, which may be endless, and
    OSError as `open`."""
    descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK)  # do not wait at a pipe without a writer
    try:
        kind = _KINDS.get(stat.S_IFMT(os.fstat(descriptor).st_mode))
        if kind is not None:
            raise ValueError(f"{file}: expected a file, found {kind}")
        stream = os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise
    return stream


def read_small(file: Path, most: int = SMALL) -> bytes:
    """The content of a small file. Raises ValueError if it has more than `most` bytes."""
    with open_regular(file) as stream:
        content = stream.read(most + 1)
    if len(content) > most:
        raise ValueError(f"{file}: larger than {most >> 20} MB, the maximum for a file of this kind")
    return content


def require_regular(file: Path) -> None:
    """Raise ValueError for a pipe, a device or a socket, before a library opens it, and OSError as `open`."""
    open_regular(file).close()


def read_text(file: Path) -> str:
    """The content of a small text file, UTF-8 with or without a byte order mark. Raises ValueError that names the file,
    and OSError as `open`."""
    try:
        return read_small(file).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{file}: not UTF-8 (byte {error.start + 1})") from None


def read_json(file: Path) -> Any:
    """The value in a small JSON file. Raises ValueError that names the file, and OSError as `open`."""
    try:
        return parse_json(read_small(file))
    except JsonError as error:
        raise ValueError(f"{file}: {error}") from None


class JsonError(ValueError):
    """A text is not valid JSON; `str` is the error message, `line` its line, from 1."""

    def __init__(self, message: str, line: int = 1) -> None:
        super().__init__(message)
        self.line = line


def parse_json(text: str | bytes) -> Any:
    """Parse JSON. Raises JsonError, also for values nested too deeply and for numbers with thousands of digits."""
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise JsonError(f"not JSON: {error.msg} at column {error.colno}", error.lineno) from None
    except UnicodeDecodeError as error:
        raise JsonError(f"not UTF-8 (byte {error.start + 1})") from None
    except RecursionError:
        raise JsonError("not read: its lists and objects are nested too deeply") from None
    except ValueError:  # more digits than Python converts
        raise JsonError("not read: a number has too many digits") from None
