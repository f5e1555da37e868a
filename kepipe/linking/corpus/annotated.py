"""A file with a chunk of documents and their annotations."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Self

import numpy as np

from kepipe.data.document import Document, Span
from kepipe.data.document_columns import (
    Arrays,
    DocumentColumns,
    Rows,
    open_arrays,
    open_strings,
    save_arrays,
    string_arrays,
    strings,
)
from kepipe.linking.text.annotations import Annotations, Name


class AnnotatedChunk:
    """A chunk as arrays, decoded lazily."""

    def __init__(self, arrays: Arrays) -> None:
        self.arrays = arrays
        self.columns = DocumentColumns.open(arrays)

    @classmethod
    def of(cls, documents: Sequence[Document], annotations: Sequence[Annotations]) -> Self:
        """Encode documents and their annotations."""
        annotated = [
            replace(document, sentences=annotation.sentences, phrases=annotation.phrases, mentions=())
            for document, annotation in zip(documents, annotations, strict=True)
        ]
        proper = [annotation.proper for annotation in annotations]
        names = [annotation.names for annotation in annotations]
        return cls(
            {
                **DocumentColumns.of(annotated).arrays(),
                **Rows.of(runs or () for runs in proper).arrays("proper"),
                "tagged": np.array([runs is not None for runs in proper], bool),
                **Rows.of([name[:2] for name in found or ()] for found in names).arrays("names"),
                **string_arrays("labels", strings(name.label for found in names for name in found or ())),
                "named": np.array([found is not None for found in names], bool),
            }
        )

    def save(self, file: Path) -> None:
        """Write the chunk atomically."""
        save_arrays(file, self.arrays)

    @classmethod
    def open(cls, file: Path) -> Self | None:
        """The chunk of a file; None if the file is missing or damaged."""
        return None if (arrays := open_arrays(file)) is None else cls(arrays)

    @cached_property
    def documents(self) -> list[Document]:
        """The documents, with the sentences and phrases of their annotations, and without mentions."""
        return list(self.columns.documents())

    @property
    def annotations(self) -> Iterator[Annotations]:
        """The annotations of each document."""
        proper = Rows.open(self.arrays, "proper").items(Span)
        labels = open_strings(self.arrays, "labels")
        names = Rows.open(self.arrays, "names").items(Name, labels)
        tagged, named = self.arrays["tagged"].tolist(), self.arrays["named"].tolist()
        for document, runs, has_runs, found, has_names in zip(
            self.documents, proper, tagged, names, named, strict=True
        ):
            yield Annotations(
                document.sentences, document.phrases, runs if has_runs else None, found if has_names else None
            )
