"""The tasks of worker processes on a chunk of documents: annotate, extract training examples, link.

Results are files in the scratch folder, written atomically: `annotated-00012.npz` (the slow part), then
`counts-00012.json` and `linked-00012.jsonl`. Annotator, linker and graph stay loaded between chunks.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from kepipe.data.document import Document
from kepipe.data.document_files import held_out, to_line
from kepipe.data.document_stream import Chunk, DocumentStream
from kepipe.files import write_text
from kepipe.linking.corpus.annotated import AnnotatedChunk
from kepipe.linking.corpus.job import AnnotatorChoice, Job
from kepipe.linking.decision.decide import decide_by_prior
from kepipe.linking.decision.policy import Policy
from kepipe.linking.evaluation.gold import Titles
from kepipe.linking.evaluation.score import candidate_recall, count
from kepipe.linking.kb.links import Link
from kepipe.linking.linker import Linker
from kepipe.linking.ranking.ranker import Ranker
from kepipe.linking.text.annotations import Annotations, Annotator
from kepipe.linking.text.casing import Casing, count_spellings
from kepipe.linking.training.examples import TrainingExample, training_example
from kg.lexicon import Lexicon
from kg.store import open_graph


class AnnotatedCounts(NamedTuple):
    """The word counts of a chunk (`count_spellings`), and the number of its documents whose annotations were cached."""

    spellings: Counter[str]
    known: int


def annotate_chunk(job: Job, chunk: Chunk) -> AnnotatedCounts:
    """Parse and annotate a chunk and write its file, unless the file exists."""
    if (done := AnnotatedChunk.open(job.annotated(chunk))) is not None:
        return AnnotatedCounts(count_spellings(done.columns.texts), 0)
    documents = list(DocumentStream(job.documents, chunk.begin, chunk.line, chunk.end))
    texts = [document.text for document in documents]
    annotations, known = _annotate(job, texts)
    AnnotatedChunk.of(documents, annotations).save(job.annotated(chunk))
    return AnnotatedCounts(count_spellings(texts), known)


def _annotate(job: Job, texts: Sequence[str]) -> tuple[list[Annotations], int]:
    """The annotations of texts, and how many of them were cached."""
    memo = job.annotation_memo
    if memo is None:
        return list(_annotator(job.annotator).annotate(texts)), 0
    cached = memo.find(texts)
    new_texts = [text for text, annotations in zip(texts, cached, strict=True) if annotations is None]
    new = list(_annotator(job.annotator).annotate(new_texts)) if new_texts else []
    memo.add(new_texts, new)
    remaining = iter(new)
    merged = [next(remaining) if annotations is None else annotations for annotations in cached]
    return merged, len(texts) - len(new_texts)


def open_chunk(job: Job, chunk: Chunk) -> AnnotatedChunk:
    """An annotated chunk. Raises ValueError if its file is missing or damaged."""
    if (annotated := AnnotatedChunk.open(job.annotated(chunk))) is None:
        raise ValueError(f"{job.annotated(chunk)}: missing or damaged; run again")
    return annotated


def examples_of_chunk(job: Job, chunk: Chunk) -> list[TrainingExample]:
    """The training examples of a chunk: its documents with gold links that are not held out."""
    annotated = open_chunk(job, chunk)
    if not len(annotated.columns.gold.entities):
        return []
    given = [
        (document, annotation)
        for document, annotation in zip(annotated.documents, annotated.annotations, strict=True)
        if document.gold and not held_out(document.id, job.held_out_share)
    ]
    linker, titles = _linker(job.linker), _titles(job.graph, job.linker)
    linker = linker.with_ranker(linker.ranker, job.marks)
    return [
        training_example(
            linker, document.text, annotation, titles.resolve(document.gold, document.text), document.title
        )
        for document, annotation in given
    ]


def link_chunk(job: Job, ranker: Ranker, chunk: Chunk) -> None:
    """Link a chunk and write its documents and counts (`_count`), unless both files exist."""
    if job.linked(chunk).exists() and job.counts(chunk).exists():
        return
    linker = _linker(job.linker).with_ranker(ranker, job.marks)
    annotated = open_chunk(job, chunk)
    rows = (
        (document.text, document.title, annotation)
        for document, annotation in zip(annotated.documents, annotated.annotations, strict=True)
    )
    links = linker.link_all(rows, Policy(fuzzy=job.fuzzy))
    linked = [
        replace(document, mentions=mentions)
        for document, mentions in zip(annotated.documents, links, strict=True)
    ]
    counts = {
        "mentions": sum(len(document.mentions) for document in linked),
        "documents": [_count(job, linker, document) for document in linked if document.gold],
    }
    write_text(job.counts(chunk), json.dumps(counts))
    write_text(job.linked(chunk), "".join(map(to_line, linked)))


def _count(job: Job, linker: Linker, document: Document) -> dict[str, Any]:
    """Counts of the linker and of the baseline on a document with gold links."""
    titles = _titles(job.graph, job.linker)
    given = titles.resolve(document.gold, document.text)
    matches = linker.gazetteer.find(document.text)
    predicted = [
        Link(mention.start, mention.end, titles.graph.row(mention.entity)) for mention in document.mentions
    ]
    candidates = (
        Link(int(matches.starts[owner]), int(matches.ends[owner]), row)
        for owner, row in zip(matches.owners.tolist(), matches.rows.tolist(), strict=True)
    )
    return {
        "held_out": held_out(document.id, job.held_out_share),
        "linker": count(predicted, given, job.complete_gold),
        "baseline": count(decide_by_prior(matches), given, job.complete_gold),
        "candidates": candidate_recall(candidates, given),
    }


@lru_cache(maxsize=1)
def _annotator(choice: AnnotatorChoice) -> Annotator:
    return choice.make()


@lru_cache(maxsize=1)
def _linker(folder: Path) -> Linker:
    return Linker.open(folder)


@lru_cache(maxsize=1)
def _titles(graph: Path, linker: Path) -> Titles:
    return Titles(open_graph(graph), Lexicon.open(linker / "lexicon"), Casing.open(linker / "casing"))
