"""Input and output of `kepipe link`: linkers, texts, gold sets, files written atomically."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from io import TextIOBase
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from kepipe.terminal import Screen, echo

if TYPE_CHECKING:
    from kepipe.data.document import Document
    from kepipe.linking.evaluation.goldset import EntityIds, GoldText
    from kepipe.linking.linker import Linker
    from kg.problems import Problems


def open_linker(path: Path, files: Iterable[Path] = ()) -> Linker:
    """See `kepipe.api.linking.open_linker`; a stored graph gets word statistics from `files`."""
    from kepipe.api.linking import open_linker
    from kg.problems import Problems

    return open_linker(path, (document.text for document in read_texts(files, Problems(), quiet=True)))


def read_texts(files: Iterable[Path], problems: Problems, quiet: bool = False) -> Iterator[Document]:
    """The documents of all files; unless `quiet`, a summary of what was read and skipped is printed. Raises ValueError,
    before any file is read, if one is missing."""
    from kepipe.data.sources.folder import read_folders

    files = list(files)
    for file in files:
        if not file.exists():
            raise ValueError(f"{file}: no such file or folder")

    def note(line: str) -> None:
        if not quiet:
            echo(line, err=True)

    return read_folders(files, problems, note, apart=True)


def in_sections(documents: Iterable[Document]) -> Iterator[Document]:
    """The documents, with very long ones split into sections as in a corpus."""
    from kepipe.data.sections import sections

    return chain.from_iterable(map(sections, documents))


def batches(documents: Iterable[Document], most: int = 256) -> Iterator[list[Document]]:
    """Batches of documents to link: at most `most` documents, and no more after the size of a section in characters."""
    from kepipe.data.sections import LONGEST

    batch: list[Document] = []
    characters = 0
    for document in documents:
        batch.append(document)
        characters += len(document.text)
        if len(batch) == most or characters >= LONGEST:
            yield batch
            batch, characters = [], 0
    if batch:
        yield batch


def read_gold_sets(files: Iterable[Path], ids: EntityIds) -> list[GoldText]:
    """The texts of gold sets; prints a summary of what was read and skipped, and invalid lines."""
    from kepipe.linking.evaluation.goldset import read_gold
    from kg.problems import Problems

    problems = Problems()
    texts = [text for file in files for text in read_gold(file, ids, problems)]
    show_problems(problems)
    for line in problems.account.lines():
        echo(line, err=True)
    return texts


def by_name(files: Iterable[Path]) -> dict[str, Path]:
    """Gold sets by file name, or by path if several have the same name."""
    from collections import Counter

    files = list(files)
    times = Counter(file.stem for file in files)
    return {file.stem if times[file.stem] == 1 else str(file): file for file in files}


@contextmanager
def writing(out: Path | None) -> Iterator[TextIOBase]:
    """Standard output, or a file that is written atomically."""
    if out is None:
        yield Screen()
        return
    partial = out.with_name(f"{out.name}.partial")
    try:
        with partial.open("w", encoding="utf-8", newline="\n") as stream:
            yield stream
        partial.replace(out)
    finally:
        partial.unlink(missing_ok=True)


def require_writable(*files: Path | None) -> None:
    """Raise ValueError if an output file is a folder or if its folder does not exist; to be called before the work."""
    for file in filter(None, files):
        if file.is_dir():
            raise ValueError(f"{file}: is a folder; give a file")
        if not file.parent.is_dir():
            raise ValueError(f"{file}: the folder {file.parent} does not exist")


def show_problems(problems: Problems) -> None:
    if problems:
        echo(problems.summary(), err=True)
