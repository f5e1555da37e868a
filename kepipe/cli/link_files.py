"""What `kepipe link` reads and writes: linkers, texts, gold sets, files that appear when they are whole."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from io import TextIOBase
from pathlib import Path
from typing import TYPE_CHECKING

from kepipe.terminal import Screen, echo

if TYPE_CHECKING:
    from kepipe.data.document import Document
    from kepipe.linking.evaluation.goldset import EntityIds, GoldText
    from kepipe.linking.linker import Linker
    from kg.problems import Problems


def open_linker(path: Path, files: Iterable[Path] = ()) -> Linker:
    """A linker folder, or an untrained linker over a stored graph, which learns from its descriptions and from `files`
    which words are common. Raises ValueError where `path` holds neither.
    """
    from kepipe.linking.linker import Linker
    from kepipe.linking.text.casing import Casing
    from kg.problems import Problems
    from kg.store import open_graph

    if (path / "linker.json").is_file():
        return Linker.open(path)
    if (path / "graph.json").is_file():
        graph = open_graph(path)
        texts = (document.text for document in read_texts(files, Problems()))
        return Linker.build(graph, Casing.count_with(graph.descriptions, texts))
    raise ValueError(
        f"--linker {path}: holds neither a linker nor a stored graph; `kepipe graph import` makes the one, "
        "`kepipe link train` or a pipeline's stage link the other"
    )


def read_texts(files: Iterable[Path], problems: Problems) -> Iterator[Document]:
    """The documents of all files. Raises ValueError, before any is read, where one is not there."""
    from itertools import chain

    from kepipe.data.sources.folder import read_folders

    files = list(files)
    for file in files:
        if not file.exists():
            raise ValueError(f"{file}: no such file or folder")
    return chain.from_iterable(read_folders([file], problems) for file in files)


def read_gold_sets(files: Iterable[Path], ids: EntityIds) -> list[GoldText]:
    """The texts of gold sets; bad lines are told."""
    from kepipe.linking.evaluation.goldset import read_gold
    from kg.problems import Problems

    problems = Problems()
    texts = [text for file in files for text in read_gold(file, ids, problems)]
    show_problems(problems)
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
