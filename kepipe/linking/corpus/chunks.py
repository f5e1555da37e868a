"""What worker processes do with a chunk of documents: annotate it, link it.

What is done is a file in the scratch folder, written atomically: `annotated-00012.jsonl` (the slow part), then
`counts-00012.json` and `linked-00012.jsonl`. What is dear to load is kept between chunks.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from kepipe.data.document import Document, Span
from kepipe.data.document_files import from_record, held_out, to_line
from kepipe.linking.corpus.job import AnnotatorChoice, Chunk, Job, write_atomically
from kepipe.linking.decision.decide import decide_by_prior
from kepipe.linking.decision.policy import Policy
from kepipe.linking.evaluation.gold import Titles
from kepipe.linking.evaluation.score import candidate_recall, count
from kepipe.linking.kb.links import Link
from kepipe.linking.linker import Linker
from kepipe.linking.ranking.ranker import Ranker
from kepipe.linking.text.annotations import Annotations, Annotator, Name
from kepipe.linking.text.casing import Casing
from kepipe.linking.training.examples import TrainingExample, training_example
from kg.lexicon import Lexicon
from kg.store import open_graph


def annotate_chunk(job: Job, train: bool, chunk: Chunk) -> list[TrainingExample]:
    """Annotate a chunk into its file, unless it is there.

    With `train`, the training documents that have given links, as the ranker's examples; else none.
    """
    file = job.annotated(chunk)
    if file.exists() and not train:
        return []
    documents = _documents(job, chunk)
    if file.exists():
        annotations = _annotations(job, chunk)
    else:
        annotations = list(_annotator(job.annotator).annotate([document.text for document in documents]))
        write_atomically(file, "".join(map(_to_line, annotations)))
    return _examples(job, zip(documents, annotations, strict=True)) if train else []


def _examples(job: Job, annotated: Iterable[tuple[Document, Annotations]]) -> list[TrainingExample]:
    linker, titles = _linker(job.linker), _titles(job.graph, job.linker)
    return [
        training_example(
            linker, document.text, annotation, titles.resolve(document.gold, document.text), document.title
        )
        for document, annotation in annotated
        if document.gold and not held_out(document.id, job.held_out_share)
    ]


def link_chunk(job: Job, ranker: Ranker, chunk: Chunk) -> None:
    """Link a chunk into its files, unless they are there: its documents, and what `_count` says of them."""
    if job.linked(chunk).exists() and job.counts(chunk).exists():
        return
    linker = _linker(job.linker).with_ranker(ranker)
    documents, annotations = _documents(job, chunk), _annotations(job, chunk)
    rows = (
        (document.text, document.title, annotation)
        for document, annotation in zip(documents, annotations, strict=True)
    )
    linked = [
        replace(document, sentences=annotation.sentences, phrases=annotation.phrases, mentions=mentions)
        for document, annotation, mentions in zip(
            documents, annotations, linker.link_all(rows, Policy(fuzzy=job.fuzzy)), strict=True
        )
    ]
    counts = {
        "mentions": sum(len(document.mentions) for document in linked),
        "documents": [_count(job, linker, document) for document in linked if document.gold],
    }
    write_atomically(job.counts(chunk), json.dumps(counts))
    write_atomically(job.linked(chunk), "".join(map(to_line, linked)))


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


def _documents(job: Job, chunk: Chunk) -> list[Document]:
    with job.documents.open("rb") as stream:
        stream.seek(chunk.begin)
        lines = stream.read(chunk.end - chunk.begin).splitlines()
    return [from_record(json.loads(line), default_id="") for line in lines]


def _annotations(job: Job, chunk: Chunk) -> Sequence[Annotations]:
    text = job.annotated(chunk).read_text(encoding="utf-8")
    return [_from_line(line) for line in text.splitlines()]


def _to_line(annotation: Annotations) -> str:
    return json.dumps([annotation.sentences, annotation.phrases, annotation.proper, annotation.names]) + "\n"


def _from_line(line: str) -> Annotations:
    sentences, phrases, proper, names = json.loads(line)
    return Annotations(
        tuple(Span(*span) for span in sentences),
        tuple(Span(*span) for span in phrases),
        None if proper is None else tuple(Span(*span) for span in proper),
        None if names is None else tuple(Name(*name) for name in names),
    )


@lru_cache(maxsize=1)
def _annotator(choice: AnnotatorChoice) -> Annotator:
    return choice.make()


@lru_cache(maxsize=1)
def _linker(folder: Path) -> Linker:
    return Linker.open(folder)


@lru_cache(maxsize=1)
def _titles(graph: Path, linker: Path) -> Titles:
    return Titles(open_graph(graph), Lexicon.open(linker / "lexicon"), Casing.open(linker / "casing"))
