"""The table of corpus sources: a name in the YAML → how the text is read. A new source is a module and a row.

Importing the table imports no reader, since every plan needs the names.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from kepipe.data.document import Document
    from kg.problems import Problems


class Progress(Protocol):
    """A progress bar that is open while documents are read (`StageContext.progress`)."""

    def __call__(
        self, what: str, total: int | None, unit: str, /
    ) -> AbstractContextManager[Callable[[int], None]]:
        """(description, total, unit) → a context manager that returns a function to call with each increment."""
        ...


@dataclass(frozen=True)
class Dataset:
    """A data set of the Hugging Face hub: its id, configuration, split, and text column."""

    name: str
    config: str | None = None
    split: str = "train"
    column: str = "text"
    revision: str | None = None


@dataclass(frozen=True)
class Reading:
    """The input of a source. `paths`: the user's files; `limit`: maximum number of documents; `documents`: as
    `TextFile.documents`; `dataset`: the Hugging Face data set; `read_task`: the reader of a task's files, which is
    defined in a higher layer."""

    paths: tuple[Path, ...]
    limit: int | None
    problems: Problems
    progress: Progress
    note: Callable[[str], None]
    documents: str = "auto"
    dataset: Dataset | None = None
    read_task: Callable[[Iterable[Path], Problems], Iterator[Document]] | None = None


@dataclass(frozen=True)
class Source:
    """A row of the table."""

    about: str
    """Description for docs and schema."""
    read: Callable[[Reading], Iterator[Document]]
    """Streams the documents."""
    digests: Callable[[tuple[Path, ...]], Mapping[str, str]]
    """Digests of the files that will be read. Raises ValueError if there is none."""
    path: str = ""
    """What `path` must name; "": no path is needed."""
    options: tuple[str, ...] = ()
    """Settings of the stage that only apply to this source."""
    package: str | None = None
    """A required package that is not a dependency of kepipe."""


def _read_folder(reading: Reading) -> Iterator[Document]:
    from kepipe.data.sources import folder

    return folder.read(reading)


def _folder_digests(paths: tuple[Path, ...]) -> Mapping[str, str]:
    from kepipe.data.sources import folder

    return folder.digests(paths)


def _read_hugging_face(reading: Reading) -> Iterator[Document]:
    from kepipe.data.sources import hugging_face

    return hugging_face.read(reading)


def _read_wikipedia_sample(reading: Reading) -> Iterator[Document]:
    from kepipe.data.sources import wikipedia

    return wikipedia.read_sample(reading)


def _wikipedia_sample_digests(_: tuple[Path, ...]) -> Mapping[str, str]:
    from kepipe.data.sources import wikipedia

    return wikipedia.sample_digests()


def _read_task(reading: Reading) -> Iterator[Document]:
    if reading.read_task is None:
        raise ValueError("`source: task` needs `task`, the name of the task")
    with reading.progress("reading", None, "documents") as tick:
        for document in reading.read_task(reading.paths, reading.problems):
            tick(1)
            yield document


SOURCES: Mapping[str, Source] = {
    "wikipedia-sample": Source(
        "106 Wikipedia articles from the package gensim, with their links",
        _read_wikipedia_sample,
        _wikipedia_sample_digests,
    ),
    "folder": Source(
        "your own files",
        _read_folder,
        _folder_digests,
        path="a folder of text files, or a single one (docs/formats.md)",
        options=("path", "strict", "documents"),
    ),
    "task": Source(
        "the texts of a task's training examples, without their labels",
        _read_task,
        _folder_digests,
        path="one or more files of training examples",
        options=("path", "strict"),
    ),
    "hugging-face": Source(
        "a data set of the Hugging Face hub, read with the package `datasets`",
        _read_hugging_face,
        lambda _paths: {},
        options=("dataset", "strict"),
        package="datasets",
    ),
}


def described() -> str:
    """The sources with their descriptions, for the schema."""
    return "; ".join(f"`{name}`: {source.about}" for name, source in SOURCES.items())


if TYPE_CHECKING:
    SourceName = str
else:
    SourceName = Literal[tuple(SOURCES)]
    """The name of a source, as the type of a config's field."""
