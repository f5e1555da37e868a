"""The output folder of an import: written beside the graph that it replaces, then renamed; safe to repeat after a
kill."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kepipe.files import lock

_LOCK = "import.lock"


@contextmanager
def replacing(out: Path) -> Iterator[Path]:
    """A folder to fill, beside `out`, that replaces it at the end of the block; after an error `out` is unchanged.

    Leftovers of a killed import are removed. An import that is killed during the replacement leaves the old graph, or
    none until the next import, but never a partial one.
    Raises FileExistsError if another import is writing it, or if the temporary folder exists for another reason.
    """
    out = out.absolute()
    beside = out.with_name(f"{out.name}.importing")
    beside.mkdir(parents=True, exist_ok=True)
    if any(beside.iterdir()) and not (beside / _LOCK).is_file():
        raise FileExistsError(f"{beside}: is needed to write {out.name}, but has other files; move it away")
    with lock(beside / _LOCK, timeout=0) as held:
        if not held:
            raise FileExistsError(f"{out}: another import is writing it")
        new, old = beside / "graph", beside / "old"
        try:
            _put_back(old, out)
            for leftover in (new, old):
                shutil.rmtree(leftover, ignore_errors=True)
            yield new
            if out.exists():
                out.rename(old)
            new.rename(out)
        finally:
            _put_back(old, out)
            shutil.rmtree(beside, ignore_errors=True)


def _put_back(old: Path, out: Path) -> None:
    if old.exists() and not out.exists():
        old.rename(out)
