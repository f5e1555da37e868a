"""A linking job: its inputs, options, chunks, and the files of its intermediate results."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from kepipe.data.document_stream import Chunk
from kepipe.flow.artifact import hash_json
from kepipe.linking.corpus.memo import AnnotationMemo, LinkMemo
from kepipe.linking.decision.marks import NAMES, Marks
from kepipe.linking.text.annotations import Annotator
from kepipe.linking.text.annotators import make_annotator

CHUNK = 200_000
"""A chunk ends after the document that brings it to this many bytes."""


class AnnotatorChoice(NamedTuple):
    """The arguments of `make_annotator`."""

    language: str
    spacy_model: str | None
    ner: bool

    @property
    def is_slow(self) -> bool:
        """Whether annotating a text takes longer than a cache lookup; English rules do not."""
        return self.language == "zh" or self.spacy_model is not None

    def make(self) -> Annotator:
        """The annotator."""
        return make_annotator(self.language, self.spacy_model, self.ner)


@dataclass(frozen=True)
class Job:
    """The files and options of a linking job.

    `held_out_share`: the share of documents held out for evaluation; `complete_gold`: gold links are exhaustive;
    `fuzzy` as in `Policy`; `marks`: what counts as a mention; `memo`: a folder that persists across runs, for this
    annotator's annotations and the links made of them; `graph_digest`: of the graph's content, by which links of
    earlier runs are found; `earlier_linker`: the folder of a linker that is used as it is, None: one is made.
    """

    documents: Path
    scratch: Path
    graph: Path
    annotator: AnnotatorChoice
    held_out_share: float
    complete_gold: bool
    fuzzy: float | None
    marks: Marks = NAMES
    memo: Path | None = None
    graph_digest: str = ""
    earlier_linker: Path | None = None

    @property
    def annotation_memo(self) -> AnnotationMemo | None:
        """The cache of annotations of earlier runs; None if there is none."""
        if self.memo is None or not self.annotator.is_slow:
            return None
        return AnnotationMemo(self.memo, self.scratch / "memo.npz")

    def link_memo(self, linker_digest: str) -> LinkMemo | None:
        """The cache of links that earlier runs made with a linker of this digest; None if there is none."""
        if self.memo is None:
            return None
        key = [linker_digest, self.graph_digest, self.fuzzy, self.held_out_share, self.complete_gold]
        return LinkMemo(self.memo / hash_json(key)[:20], self.scratch / "links.npz")

    @property
    def linker(self) -> Path:
        """The folder of the kept linker, or of the untrained one."""
        return self.scratch / "linker" if self.earlier_linker is None else self.earlier_linker

    def annotated(self, chunk: Chunk) -> Path:
        """The file of a chunk's documents and annotations (`AnnotatedChunk`)."""
        return self.scratch / f"annotated-{chunk.number:05}.npz"

    def linked(self, chunk: Chunk) -> Path:
        """The file of a chunk's linked documents."""
        return self.scratch / f"linked-{chunk.number:05}.jsonl"

    def counts(self, chunk: Chunk) -> Path:
        """The file of the counts of a chunk (`CorpusCounts`)."""
        return self.scratch / f"counts-{chunk.number:05}.json"


def cut(documents: Path, size: int = CHUNK) -> Iterator[Chunk]:
    """The chunks of a `documents.jsonl`, yielded while the file is read; no line is parsed."""
    number = begin = end = line = lines = 0
    with documents.open("rb") as stream:
        for text in stream:
            end += len(text)
            lines += 1
            if end - begin >= size:
                yield Chunk(number, begin, end, line)
                number, begin, line = number + 1, end, lines
    if end > begin:
        yield Chunk(number, begin, end, line)
