"""What worker processes do with a chunk of documents: annotate it, learn from it, link it.

What is done is a file in the scratch folder, written whole or not at all: `annotated-00012.npz` (the slow part), then
`counts-00012.json` and `linked-00012.jsonl`. What is dear to load is kept between chunks.
"""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from kepipe.data.document import Document
from kepipe.data.document_files import held_out, to_line
from kepipe.data.document_stream import DocumentStream
from kepipe.files import write_text
from kepipe.linking.corpus.annotated import AnnotatedChunk
from kepipe.linking.corpus.job import AnnotatorChoice, Chunk, Job
from kepipe.linking.decision.decide import decide_by_prior
from kepipe.linking.decision.policy import Policy
from kepipe.linking.evaluation.gold import Titles
from kepipe.linking.evaluation.score import candidate_recall, count
from kepipe.linking.kb.links import Link
from kepipe.linking.linker import Linker
from kepipe.linking.ranking.ranker import Ranker
from kepipe.linking.text.annotations import Annotator
from kepipe.linking.text.casing import Casing, count_spellings
from kepipe.linking.training.examples import TrainingExample, training_example
from kg.lexicon import Lexicon
from kg.store import open_graph


def annotate_chunk(job: Job, chunk: Chunk) -> Counter[str]:
    """Parse and annotate a chunk into its file, unless it is there; its words, as `count_spellings` counts them."""
    if (done := AnnotatedChunk.open(job.annotated(chunk))) is not None:
        return count_spellings(done.columns.texts)
    documents = list(DocumentStream(job.documents, chunk.begin, chunk.line, chunk.end))
    texts = [document.text for document in documents]
    annotations = list(_annotator(job.annotator).annotate(texts))
    AnnotatedChunk.of(documents, annotations).save(job.annotated(chunk))
    return count_spellings(texts)


def open_chunk(job: Job, chunk: Chunk) -> AnnotatedChunk:
    """A chunk that is annotated. Raises ValueError where its file is gone or damaged."""
    if (annotated := AnnotatedChunk.open(job.annotated(chunk))) is None:
        raise ValueError(f"{job.annotated(chunk)}: missing or damaged; run again")
    return annotated


def examples_of_chunk(job: Job, chunk: Chunk) -> list[TrainingExample]:
    """The training documents of a chunk that have given links, as the ranker's examples."""
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
    """Link a chunk into its files, unless they are there: its documents, and what `_count` says of them."""
    if job.linked(chunk).exists() and job.counts(chunk).exists():
        return
    linker = _linker(job.linker).with_ranker(ranker, job.marks)
    annotated = open_chunk(job, chunk)
    rows = (
        (document.text, document.title, annotation)
        for document, annotation in zip(annotated.documents, annotated.annotations, strict=True)
    )
    found = linker.link_all(rows, Policy(fuzzy=job.fuzzy))
    linked = [
        replace(document, mentions=mentions)
        for document, mentions in zip(annotated.documents, found, strict=True)
    ]
    counts = {
        "mentions": sum(len(document.mentions) for document in linked),
        "documents": [_count(job, linker, document) for document in linked if document.gold],
    }
    write_text(job.counts(chunk), json.dumps(counts))
    write_text(job.linked(chunk), "".join(map(to_line, linked)))


def _count(job: Job, linker: Linker, document: Document) -> dict[str, Any]:
    """How the linker and the baseline do on a document with given links."""
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
