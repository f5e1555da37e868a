"""What `kepipe link` reads and writes: linkers, texts, gold sets, files that appear when they are whole."""

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
    """See `kepipe.api.linking.open_linker`; an untrained one learns from `files`."""
    from kepipe.api.linking import open_linker
    from kg.problems import Problems

    return open_linker(path, (document.text for document in read_texts(files, Problems(), quiet=True)))


def read_texts(files: Iterable[Path], problems: Problems, quiet: bool = False) -> Iterator[Document]:
    """The documents of all files; what was read and what was passed over is said unless
    `quiet`. Raises ValueError, before any is read, where one is not there."""
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
    """The documents, very long ones in sections, as a corpus has them."""
    from kepipe.data.sections import sections

    return chain.from_iterable(map(sections, documents))


def batches(documents: Iterable[Document], most: int = 256) -> Iterator[list[Document]]:
    """Documents that are linked together: at most so many, and no more once they have the characters of a section."""
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
    """The texts of gold sets; what was taken and left out, and bad lines, are told."""
    from kepipe.linking.evaluation.goldset import read_gold
    from kg.problems import Problems

    problems = Problems()
    texts = [text for file in files for text in read_gold(file, ids, problems)]
    show_problems(problems)
    for line in problems.account.lines():
        echo(line, err=True)
    return texts


def by_name(files: Iterable[Path]) -> dict[str, Path]:
    """Gold sets by their names, those of one name by where they are."""
    from collections import Counter

    files = list(files)
    times = Counter(file.stem for file in files)
    return {file.stem if times[file.stem] == 1 else str(file): file for file in files}


@contextmanager
def writing(out: Path | None) -> Iterator[TextIOBase]:
    """Standard output, or a file that appears when it is whole."""
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
    """Raise ValueError, before the work is done, where a file to write is a folder, or in none."""
    for file in filter(None, files):
        if file.is_dir():
            raise ValueError(f"{file}: is a folder; name a file in it")
        if not file.parent.is_dir():
            raise ValueError(f"{file}: there is no folder {file.parent}")


def show_problems(problems: Problems) -> None:
    if problems:
        echo(problems.summary(), err=True)
