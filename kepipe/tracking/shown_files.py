"""The files of a result that MLflow shows."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

PAGES = {".html", ".png", ".svg", ".pdf"}
RESULTS = {".json", ".md"}
MAX_FILE_BYTES = 16 << 20
"""Maximum size in bytes of a file that is copied to the store; models get there through the registry."""


def shown_files(folder: Path) -> Iterator[tuple[Path, str | None]]:
    """Files of an artifact to show in MLflow (pages, pictures, scores), with their folder in the store."""
    if not folder.is_dir():
        return
    for file in sorted(folder.rglob("*")):
        inside = file.relative_to(folder).parent
        kinds = PAGES | RESULTS if inside == Path() else PAGES
        if file.is_file() and file.suffix in kinds and file.stat().st_size <= MAX_FILE_BYTES:
            yield file, None if inside == Path() else inside.as_posix()
