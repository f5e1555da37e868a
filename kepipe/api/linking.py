"""Link texts to a graph: `kepipe link`, `LoadedModel.link`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kepipe.data.document import Document
    from kepipe.linking.decision.policy import Policy
    from kepipe.linking.linker import Linker
    from kepipe.linking.text.annotations import Annotator

AT_ONCE = 256
"""Number of documents per batch."""


def is_linker(path: Path) -> bool:
    """Whether a folder is a linker, or a stored graph for which one is built."""
    return (path / "linker.json").is_file() or (path / "graph.json").is_file()


def open_linker(path: Path, texts: Iterable[str] = ()) -> Linker:
    """A linker folder, or an untrained linker over a stored graph, with word statistics from its descriptions and
    `texts`. Raises ValueError if `path` is neither.
    """
    from kepipe.linking.linker import Linker
    from kepipe.linking.text.casing import Casing, count_spellings
    from kg.store import open_graph

    if (path / "linker.json").is_file():
        return Linker.open(path)
    if (path / "graph.json").is_file():
        graph = open_graph(path)
        return Linker.build(graph, Casing.count_with(graph.descriptions, count_spellings(texts)))
    raise ValueError(
        f"--linker {path}: neither a linker (from `kepipe link train` or a stage `link`) nor a stored graph (from "
        "`kepipe graph import`)"
    )


def link_documents(
    documents: Iterable[Document], linker: Linker, annotator: Annotator, policy: Policy
) -> Iterator[Document]:
    """Yield the documents with sentences, phrases and mentions."""
    from dataclasses import replace
    from itertools import islice

    documents = iter(documents)
    while batch := list(islice(documents, AT_ONCE)):
        annotations = list(annotator.annotate([document.text for document in batch]))
        rows = zip((d.text for d in batch), (d.title for d in batch), annotations, strict=True)
        linked = linker.link_all(rows, policy)
        for document, annotation, mentions in zip(batch, annotations, linked, strict=True):
            yield replace(
                document, sentences=annotation.sentences, phrases=annotation.phrases, mentions=mentions
            )
