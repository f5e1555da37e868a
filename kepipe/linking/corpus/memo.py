"""A cache of annotations across runs, so that only new texts are annotated.

Annotations depend on the text alone. A folder belongs to one annotator; each file `NAME.npz` in it holds the
annotations of some texts, and `NAME.npy` beside it their digests, uint64 [n, 2].
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from kepipe.data.document import Document
from kepipe.files import replacing
from kepipe.linking.corpus.annotated import AnnotatedChunk
from kepipe.linking.text.annotations import Annotations

Digests = npt.NDArray[np.uint64]


@dataclass(frozen=True)
class AnnotationMemo:
    """A folder of annotations. `index`: a file of the current run that lists the folder's entries (`write_index`)."""

    folder: Path
    index: Path

    def write_index(self) -> None:
        """Write the index of the entries now in the folder. Damaged files are skipped."""
        names, digests = [], [np.zeros((0, 2), np.uint64)]
        for file in sorted(self.folder.glob("*.npy")):
            with suppress(OSError, ValueError, EOFError):
                found = np.load(file, allow_pickle=False)
                if found.dtype == np.uint64 and found.shape[1:] == (2,):
                    names.append(file.stem)
                    digests.append(found)
        lengths = [len(part) for part in digests[1:]]
        together = np.concatenate(digests)
        order = np.argsort(together[:, 0], kind="stable")
        files = np.repeat(np.arange(len(names)), lengths)[order]
        rows = np.concatenate([np.zeros(0, np.int64), *map(np.arange, lengths)])[order]
        with replacing(self.index, durable=False) as unfinished, unfinished.open("wb") as stream:
            np.savez(stream, names=np.array(names, "U"), digests=together[order], files=files, rows=rows)

    def find(self, texts: Sequence[str]) -> list[Annotations | None]:
        """The cached annotations of each text in the index; None for the others."""
        known = _index(self.index)
        found: list[Annotations | None] = [None] * len(texts)
        places = ((known.place(_digest(text)), number) for number, text in enumerate(texts))
        for (file, row), number in sorted((place, number) for place, number in places if place is not None):
            annotations = _annotations(self.folder / f"{file}.npz")
            if row < len(annotations):  # else the file was damaged after the index was written
                found[number] = annotations[row]
        return found

    def add(self, texts: Sequence[str], annotations: Sequence[Annotations]) -> None:
        """Store the annotations of texts for later runs."""
        if not texts:
            return
        digests = np.array([_digest(text) for text in texts], np.uint64)
        name = hashlib.blake2b(digests.tobytes(), digest_size=16).hexdigest()
        self.folder.mkdir(parents=True, exist_ok=True)
        with replacing(self.folder / f"{name}.npz", durable=False, concurrent=True) as unfinished:
            AnnotatedChunk.of([Document("", "")] * len(texts), annotations).save(unfinished)
        with (
            replacing(self.folder / f"{name}.npy", durable=False, concurrent=True) as unfinished,
            unfinished.open("wb") as stream,
        ):
            np.save(stream, digests, allow_pickle=False)


@dataclass(frozen=True)
class _Index:
    """Digests [N, 2], ascending by the first column, and the file name and row of each."""

    names: Sequence[str]
    digests: Digests
    files: npt.NDArray[np.int64]
    rows: npt.NDArray[np.int64]

    def place(self, digest: tuple[int, int]) -> tuple[str, int] | None:
        """File name and row of a digest; None if it is not in the index."""
        first, second = map(np.uint64, digest)
        start = int(np.searchsorted(self.digests[:, 0], first))
        while start < len(self.digests) and self.digests[start, 0] == first:
            if self.digests[start, 1] == second:
                return self.names[self.files[start]], int(self.rows[start])
            start += 1
        return None


def _digest(text: str) -> tuple[int, int]:
    digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
    return int.from_bytes(digest[:8], "little"), int.from_bytes(digest[8:], "little")


@lru_cache(maxsize=1)
def _index(file: Path) -> _Index:
    with np.load(file, allow_pickle=False) as stored:
        columns = {name: stored[name] for name in stored.files}
    return _Index(columns["names"].tolist(), columns["digests"], columns["files"], columns["rows"])


@lru_cache(maxsize=4)
def _annotations(file: Path) -> list[Annotations]:
    """The annotations of a file, [] if it is missing or damaged. Updates the file's modification time (last use)."""
    chunk = AnnotatedChunk.open(file)
    if chunk is None:
        return []
    with suppress(OSError):
        for used in (file, file.with_suffix(".npy")):
            os.utime(used)
    return list(chunk.annotations)
