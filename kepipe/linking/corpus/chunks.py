"""The tasks of worker processes on a chunk of documents: annotate, extract training examples, link.

Results are files in the scratch folder, written atomically: `annotated-00012.npz` (the slow part), then
`counts-00012.json` and `linked-00012.jsonl`. Annotator, linker and graph stay loaded between chunks.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
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
from kepipe.linking.corpus.memo import LinkedDocument, LinkMemo
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


def link_chunk(job: Job, ranker: Ranker, memo: LinkMemo | None, chunk: Chunk) -> None:
    """Link the documents of a chunk that are not in the cache, and write all its documents and their counts
    (`CorpusCounts`), unless both files exist."""
    if job.linked(chunk).exists() and job.counts(chunk).exists():
        return
    lines = _lines(job.documents, chunk)
    found = [None] * len(lines) if memo is None else memo.find(lines)
    new = [number for number, result in enumerate(found) if result is None]
    documents, annotations, known = _annotated(job, chunk, new)
    made = list(_link(job, ranker, [documents[number] for number in new], annotations)) if new else []
    if memo is not None:
        memo.add([lines[number] for number in new], made)
    remaining = iter(made)
    results = [next(remaining) if result is None else result for result in found]
    linked = [
        replace(document, sentences=own.sentences, phrases=own.phrases, mentions=own.mentions)
        for document, (own, _) in zip(documents, results, strict=True)
    ]
    counts = {
        "mentions": sum(len(document.mentions) for document in linked),
        "linked": len(new),
        "kept": len(lines) - len(new),
        "known": known,
        "documents": [counts for _, counts in results if counts is not None],
    }
    write_text(job.counts(chunk), json.dumps(counts))
    write_text(job.linked(chunk), "".join(map(to_line, linked)))


def _lines(file: Path, chunk: Chunk) -> list[str]:
    """The lines of a chunk; bytes that are not UTF-8 are kept."""
    with file.open("rb") as stream:
        stream.seek(chunk.begin)
        content = stream.read(chunk.end - chunk.begin)
    return content.removesuffix(b"\n").decode(errors="surrogateescape").split("\n")


def _annotated(
    job: Job, chunk: Chunk, new: Sequence[int]
) -> tuple[Sequence[Document], Sequence[Annotations], int]:
    """All documents of a chunk, the annotations of those of these indices, and how many of the annotations were found
    in the cache; 0 if the chunk is annotated already, since they were counted then."""
    if job.earlier_linker is None:
        annotated = open_chunk(job, chunk)
        annotations = list(annotated.annotations) if new else []
        return annotated.documents, [annotations[number] for number in new], 0
    documents = list(DocumentStream(job.documents, chunk.begin, chunk.line, chunk.end))
    return documents, *_annotate(job, [documents[number].text for number in new])


def _link(
    job: Job, ranker: Ranker, documents: Sequence[Document], annotations: Sequence[Annotations]
) -> Iterator[LinkedDocument]:
    """Link annotated documents."""
    linker = _linker(job.linker).with_ranker(ranker, job.marks)
    rows = (
        (document.text, document.title, own) for document, own in zip(documents, annotations, strict=True)
    )
    links = linker.link_all(rows, Policy(fuzzy=job.fuzzy))
    for document, own, mentions in zip(documents, annotations, links, strict=True):
        linked = Document("", "", sentences=own.sentences, phrases=own.phrases, mentions=mentions)
        counted = replace(document, mentions=mentions)
        yield LinkedDocument(linked, _count(job, linker, counted) if document.gold else None)


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
