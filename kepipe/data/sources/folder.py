"""Folders of `.txt`, `.jsonl`, `.parquet` and `.tsv` files, or such files.

A `.txt` file is one document whose id is its path in the folder without the ending. A `.tsv` file has a header with
`text`, or `text_a` and perhaps `text_b`, as the data of tasks has; each line is a document.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from kepipe.data.document import Document
from kepipe.data.document_files import read_documents, read_parquet
from kepipe.data.line_readers import columns
from kepipe.flow.source_digests import digest_source
from kg.problems import Problems
from kg.regular_files import read_small

if TYPE_CHECKING:
    from kepipe.data.sources.table import Reading


LONGEST_TEXT = 1 << 30
"""Bytes of the largest `.txt`, which is one document."""


def list_files(path: Path) -> list[Path]:
    """The readable files under `path`, in order of their names. Raises ValueError where there is none."""
    if not path.exists():
        raise ValueError(f"{path}: no such file or folder; `path` must name your text")
    files = sorted(_walk(path)) if path.is_dir() else [path]
    readable = [file for file in files if file.suffix in READERS]
    for file in readable:
        if not os.access(file, os.R_OK):
            raise ValueError(f"{file}: may not be read: let its owner allow it, or take it out of {path}")
    if not readable:
        raise ValueError(f"{path}: no {' / '.join(READERS)} file here")
    return readable


def _walk(folder: Path) -> Iterator[Path]:
    """The files in a folder and in those in it. Raises ValueError for one that may not be read."""

    def refuse(error: OSError) -> NoReturn:
        raise ValueError(
            f"{error.filename}: a folder that cannot be read ({error.strerror}): allow it, or take it out of {folder}"
        )

    for place, _, names in os.walk(folder, onerror=refuse):
        yield from (file for name in names if (file := Path(place) / name).is_file())


def read(reading: Reading) -> Iterator[Document]:
    """The documents of the user's files, each counted as it is read."""
    count, places = sum(len(list_files(path)) for path in reading.paths), ", ".join(map(str, reading.paths))
    reading.note(f"reading {count} files of {places}")
    with reading.progress("reading", None, "documents") as tick:
        for document in read_folders(reading.paths, reading.problems):
            tick(1)
            yield document


def digests(paths: Sequence[Path]) -> dict[str, str]:
    """File → digest; of several paths, each file's name has its path's number before it."""
    found: dict[str, str] = {}
    for number, path in enumerate(paths):
        root, before = path if path.is_dir() else path.parent, f"{number}/" if len(paths) > 1 else ""
        found |= {
            before + file.relative_to(root).as_posix(): digest_source(file) for file in list_files(path)
        }
    return found


def read_folders(paths: Sequence[Path], problems: Problems) -> Iterator[Document]:
    """Stream the documents of all files; a second document of the same id is a problem and is skipped."""
    seen: set[str] = set()
    for path in paths:
        for file in list_files(path):
            for document in READERS[file.suffix](file, path, problems):
                if document.id in seen:
                    problems.add(
                        file, 0, f"the id {document.id!r} stands twice; the later document is skipped"
                    )
                    continue
                seen.add(document.id)
                yield document


def _read_text(file: Path, root: Path, problems: Problems) -> Iterator[Document]:
    raw = read_small(file, LONGEST_TEXT)
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        problems.add(file, line, f"invalid UTF-8 at byte {error.start} of the file")
        return
    text = text.replace("\r\n", "\n").replace("\r", "\n").strip()
    if not text:
        problems.add(file, 0, "the file is empty")
        return
    yield Document(id=_inside(file, root), text=text, title=file.stem)


def _inside(file: Path, root: Path) -> str:
    """A file's path in the folder that was named, without the ending."""
    inside = file.relative_to(root) if root.is_dir() else Path(file.name)
    return inside.with_suffix("").as_posix()


def _read_table(file: Path, root: Path, problems: Problems) -> Iterator[Document]:
    """A document a line; the id is `file:line`. The texts of a pair are paragraphs of one document."""
    for number, cells in columns(file, problems, ()):
        texts = [cells[name].strip() for name in ("text", "text_a", "text_b") if name in cells]
        if not texts:
            raise ValueError(f"{file}:1: expected a header with `text` or `text_a`; found {', '.join(cells)}")
        if any(texts):
            yield Document(id=f"{_inside(file, root)}:{number}", text="\n".join(texts).strip())
        else:
            problems.add(file, number, "the text is empty")


READERS: dict[str, Callable[[Path, Path, Problems], Iterator[Document]]] = {
    ".txt": _read_text,
    ".jsonl": lambda file, _root, problems: read_documents(file, problems),
    ".tsv": _read_table,
    ".parquet": lambda file, _root, problems: read_parquet(file, problems),
}
