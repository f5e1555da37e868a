"""Text files, or folders of them, in any of the formats of `kepipe.data.text_formats`, plain, compressed or in
archives.

A file's id is its path in the folder without the extension. Hidden files, and files of an unknown format, are skipped;
a note counts them.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from io import BufferedIOBase
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn
from zipfile import BadZipFile

from kepipe.data.document import Document
from kepipe.data.text_formats.archives import is_archive, members, path_in
from kepipe.data.text_formats.table import BY_ENDING, FORMATS, format_of
from kepipe.data.text_formats.text_file import TextFile
from kepipe.flow.source_digests import digest_source
from kg.problems import Problems
from kg.sources.account import Account
from kg.sources.reading import DAMAGE, open_bytes, unpacked_name

if TYPE_CHECKING:
    from kepipe.data.sources.table import Reading

Note = Callable[[str], None]
_HIDDEN = "hidden files"
_NO_FORMAT = "of an unknown format"


def list_files(path: Path) -> list[Path]:
    """The readable files under `path`, sorted by name. Raises ValueError if there is none."""
    return _survey(path)[0]


def _survey(path: Path) -> tuple[list[Path], Counter[str]]:
    """The readable files, and counts of the skipped ones by extension, or `_HIDDEN`."""
    if not path.exists():
        raise ValueError(f"{path}: no such file or folder; `path` must name your text")
    passed_over: Counter[str] = Counter()
    readable = []
    for file in sorted(_walk(path)) if path.is_dir() else [path]:
        inside = file.relative_to(path).parts if path.is_dir() else ()
        if any(part.startswith(".") or part == "__MACOSX" for part in inside):
            passed_over[_HIDDEN] += 1
        elif not os.access(file, os.R_OK):
            if _may_be_text(file.name):
                raise ValueError(f"{file}: no permission to read; change its mode, or move it out of {path}")
            passed_over[file.suffix or file.name] += 1
        elif is_archive(file.name) or format_of(_text_file(file, path)) is not None:
            readable.append(file)
        else:
            passed_over[file.suffix.lower() or file.name] += 1
    if not readable:
        endings = " / ".join(BY_ENDING)
        found = (
            f"; found {', '.join(f'{n:,} {what}' for what, n in passed_over.most_common(5))}"
            if passed_over
            else ""
        )
        raise ValueError(f"{path}: no {endings} file{found}")
    return readable, passed_over


def _may_be_text(name: str) -> bool:
    return is_archive(name) or Path(unpacked_name(Path(name))).suffix.lower() in BY_ENDING


def _walk(folder: Path) -> Iterator[Path]:
    """The files in a folder and its subfolders. Raises ValueError for a folder that cannot be read."""

    def refuse(error: OSError) -> NoReturn:
        raise ValueError(
            f"{error.filename}: cannot read the folder ({error.strerror}); change its mode, or move it out of {folder}"
        )

    for place, _, names in os.walk(folder, onerror=refuse):
        yield from (file for name in names if (file := Path(place) / name).is_file())


def read(reading: Reading) -> Iterator[Document]:
    """The documents of the user's files."""
    count, places = sum(len(list_files(path)) for path in reading.paths), ", ".join(map(str, reading.paths))
    reading.note(f"reading {count} files of {places}")
    with reading.progress("reading", None, "documents") as tick:
        for document in read_folders(reading.paths, reading.problems, reading.note, reading.documents):
            tick(1)
            yield document


def digests(paths: Sequence[Path]) -> dict[str, str]:
    """File → digest; with several paths, a file's name is prefixed by the number of its path."""
    found: dict[str, str] = {}
    for number, path in enumerate(paths):
        root, before = path if path.is_dir() else path.parent, f"{number}/" if len(paths) > 1 else ""
        found |= {
            before + file.relative_to(root).as_posix(): digest_source(file) for file in list_files(path)
        }
    return found


def read_folders(
    paths: Sequence[Path],
    problems: Problems,
    note: Note = lambda _line: None,
    documents: str = "auto",
    apart: bool = False,
) -> Iterator[Document]:
    """Stream the documents of all files; a second document of the same id is a problem and is skipped. `note` gets
    messages about imported values and skipped files; `documents`: as `TextFile.documents`."""
    seen: set[str] = set()
    account = Account()
    passed_over: Counter[str] = Counter()
    for path in paths:
        if apart:
            seen.clear()
        files, others = _survey(path)
        passed_over += others
        for file in files:
            for one in _text_files(file, path, problems, documents, note):
                text_file = replace(one, account=account)
                row = format_of(text_file)
                if row is None:
                    passed_over[Path(text_file.name).suffix.lower() or text_file.name] += 1
                    continue
                for document in _read(row.read, text_file, problems):
                    if document.id in seen:
                        message = f"duplicate id {document.id!r}; the later document is skipped"
                        text_file.problem(problems, 0, message)
                        continue
                    seen.add(document.id)
                    account.take("documents", row.name)
                    yield document
    for line in account.lines():
        note(line)
    if passed_over:
        kinds = ", ".join(f"{n:,} {what}" for what, n in passed_over.most_common(20))
        note(f"skipped: {passed_over.total():,} files that are hidden or {_NO_FORMAT}: {kinds}")


def _read(
    read: Callable[[TextFile, Problems], Iterator[Document]], file: TextFile, problems: Problems
) -> Iterator[Document]:
    """A file's documents; damaged compressed data is reported as a problem."""
    try:
        yield from read(file, problems)
    except (*DAMAGE, BadZipFile) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise  # the disk's fault, not the file's
        file.problem(problems, 0, f"the compressed data is damaged ({error}); the rest is not read")


def _text_files(file: Path, root: Path, problems: Problems, documents: str, note: Note) -> Iterator[TextFile]:
    """The file, or the files in an archive."""
    if not is_archive(file.name):
        yield _text_file(file, root, documents, note)
        return
    for name, opener in members(file, problems):
        inside = path_in(name)
        if inside and not any(part.startswith(".") or part == "__MACOSX" for part in inside.split("/")):
            id = f"{_id(file, root)}/{_without_ending(inside)}"
            yield TextFile(file, inside, id, opener, inside, documents, note)


def _text_file(file: Path, root: Path, documents: str = "auto", note: Note = lambda _line: None) -> TextFile:
    def opener() -> AbstractContextManager[BufferedIOBase]:
        return open_bytes(file, lambda _count: None)

    return TextFile(file, unpacked_name(file), _id(file, root), opener, documents=documents, note=note)


def _id(file: Path, root: Path) -> str:
    """A file's path relative to `root`, without the extension."""
    inside = file.relative_to(root) if root.is_dir() else Path(file.name)
    return inside.with_name(_without_ending(unpacked_name(inside))).as_posix()


def _without_ending(name: str) -> str:
    archive = next((end for end in (".tar",) if name.lower().endswith(end)), "")
    name = name[: len(name) - len(archive)]
    return (
        str(Path(name).with_suffix("")) if Path(name).suffix.lower() in {*BY_ENDING, ".zip", ".tgz"} else name
    )


def endings() -> str:
    """The extensions of readable files, for messages and docs."""
    return ", ".join(ending for row in FORMATS for ending in row.endings)
