"""Where an import writes: beside the graph it will replace, in one step, and again after it was killed."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kepipe.files import lock

_LOCK = "import.lock"


@contextmanager
def replacing(out: Path) -> Iterator[Path]:
    """A folder to fill, beside `out`, that takes its place at the end of the block; after an error nothing has changed.

    What a killed import left is taken away. Killed while the place is taken, an import leaves the old graph, or none
    until the next one, and never a part.
    Raises FileExistsError where another import is at it, or another's folder stands there.
    """
    out = out.absolute()
    beside = out.with_name(f"{out.name}.importing")
    beside.mkdir(parents=True, exist_ok=True)
    if any(beside.iterdir()) and not (beside / _LOCK).is_file():
        raise FileExistsError(
            f"{beside}: is needed to write {out.name}, and holds something else; move it away"
        )
    with lock(beside / _LOCK, timeout=0) as held:
        if not held:
            raise FileExistsError(f"{out}: another import is writing it")
        new, old = beside / "graph", beside / "old"
        try:
            _put_back(old, out)
            for left in (new, old):
                shutil.rmtree(left, ignore_errors=True)
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
