"""Arrays in a file that is used by later runs: written whole or not at all, and checked by a digest when read."""

from __future__ import annotations

import hashlib
import os
from contextlib import suppress
from io import BytesIO
from pathlib import Path

import numpy as np

from kepipe.data.document_columns import Arrays
from kepipe.files import replacing

DIGEST_SIZE = 16


def store_arrays(file: Path, arrays: Arrays) -> None:
    """Write the digest of the arrays and the arrays (`.npz`); several processes may write the file at once."""
    content = BytesIO()
    np.savez(content, allow_pickle=False, **arrays)
    file.parent.mkdir(parents=True, exist_ok=True)
    with replacing(file, durable=False, concurrent=True) as unfinished:
        unfinished.write_bytes(_digest(content.getbuffer()) + content.getbuffer())


def read_arrays(file: Path) -> Arrays | None:
    """The arrays of a file, None if it is missing or damaged."""
    try:
        content = memoryview(file.read_bytes())
    except OSError:
        return None
    if content[:DIGEST_SIZE] != _digest(content[DIGEST_SIZE:]):
        return None
    with np.load(BytesIO(content[DIGEST_SIZE:]), allow_pickle=False) as stored:
        return {name: stored[name] for name in stored.files}


def mark_used(*files: Path) -> None:
    """Update the modification times of files, so that `Store.forget_memos` keeps them."""
    for file in files:
        with suppress(OSError):
            os.utime(file)


def _digest(content: memoryview) -> bytes:
    return hashlib.blake2b(content, digest_size=DIGEST_SIZE).digest()
