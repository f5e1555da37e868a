"""The texts of a task's examples without labels, for task-adaptive pretraining and for decontamination."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from kepipe.data.content import KnownTexts
from kepipe.data.document import Document
from kepipe.finetuning.table import TASKS
from kg.problems import Problems


def read_documents(task: str, files: Iterable[Path], problems: Problems) -> Iterator[Document]:
    """One document per distinct text of a task's files; a pair gives two documents."""
    seen: set[str] = set()
    for number, file in enumerate(files):
        for example in TASKS[task].read(file, problems):
            for side, text in (("", example.text), ("-b", example.second)):
                if text.strip() and text not in seen:
                    seen.add(text)
                    yield Document(f"{number}/{example.id}{side}", text)


def known_texts(task: str, files: Iterable[Path], problems: Problems) -> KnownTexts:
    """The texts of a task's files, to be searched for in other data."""
    return KnownTexts.of(document.text for document in read_documents(task, files, problems))
