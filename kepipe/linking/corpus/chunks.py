"""Link a large corpus chunk by chunk, in parallel, so that a killed run goes on from the chunks it has.

A chunk is a range of bytes of `documents.jsonl`. What is done with it is a file in the scratch folder, written
atomically: `read-00012.jsonl` (what the annotator saw, the slow part), then `linked-00012.jsonl` and
`counts-00012.json`. Functions here run in worker processes; what is dear to load is kept between chunks.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from kepipe.data.document import Document, Span
from kepipe.data.document_files import from_record, held_out, to_line
from kepipe.linking.decision.decide import decide_by_prior
from kepipe.linking.decision.policy import Policy
from kepipe.linking.evaluation.gold import Titles
from kepipe.linking.evaluation.score import candidate_recall, count
from kepipe.linking.kb.links import Link
from kepipe.linking.linker import Linker
from kepipe.linking.ranking.ranker import Ranker
from kepipe.linking.text.annotations import Annotations, Annotator, Name
from kepipe.linking.text.annotators import make_annotator
from kepipe.linking.text.casing import Casing
from kepipe.linking.training.examples import TrainingExample, training_example
from kg.lexicon import Lexicon
from kg.store import open_graph

CHUNK = 200_000
"""A chunk ends after the document that brings it to this many bytes."""


@dataclass(frozen=True)
class Job:
    """Where things are and what is asked of each chunk."""

    documents: Path
    scratch: Path
    graph: Path
    linker: Path
    language: str
    spacy_model: str | None
    ner: bool
    share: float
    complete: bool
    fuzzy: float | None


@dataclass(frozen=True)
class Chunk:
    """Bytes `begin`..`end` of the documents, whole lines; `size` documents."""

    number: int
    begin: int
    end: int
    size: int


def cut(documents: Path, size: int = CHUNK) -> list[Chunk]:
    """Cut a `documents.jsonl` into chunks."""
    chunks: list[Chunk] = []
    begin = place = lines = 0
    with documents.open("rb") as stream:
        for line in stream:
            place += len(line)
            lines += 1
            if place - begin >= size:
                chunks.append(Chunk(len(chunks), begin, place, lines))
                begin, lines = place, 0
    if lines:
        chunks.append(Chunk(len(chunks), begin, place, lines))
    return chunks


def read_chunk(job: Job, chunk: Chunk) -> int:
    """Read the texts of a chunk into its file, unless it is there; the number of documents."""
    file = job.scratch / f"read-{chunk.number:05}.jsonl"
    if not file.exists():
        annotator = _annotator(job.language, job.spacy_model, job.ner)
        annotations = annotator.annotate([document.text for document in _documents(job, chunk)])
        write_atomically(file, "".join(_to_line(annotation) for annotation in annotations))
    return chunk.size


def examples(job: Job, chunk: Chunk) -> list[TrainingExample]:
    """The training documents of a chunk that have given links, as the ranker's examples."""
    linker, titles = _linker(job.linker), _titles(job.graph, job.linker)
    return [
        training_example(
            linker, document.text, annotation, titles.resolve(document.gold, document.text), document.title
        )
        for document, annotation in _read(job, chunk)
        if document.gold and not held_out(document.id, job.share)
    ]


def link_chunk(job: Job, ranker: Ranker, chunk: Chunk) -> int:
    """Link a chunk into its files, unless they are there; the number of documents."""
    file = job.scratch / f"linked-{chunk.number:05}.jsonl"
    if not file.exists():
        linker = _linker(job.linker).with_ranker(ranker)
        linked, counts = [], []
        read = list(_read(job, chunk))
        rows = ((document.text, document.title, annotation) for document, annotation in read)
        found = linker.link_all(rows, Policy(fuzzy=job.fuzzy))
        for (document, annotation), mentions in zip(read, found, strict=True):
            document = replace(
                document, sentences=annotation.sentences, phrases=annotation.phrases, mentions=mentions
            )
            linked.append(document)
            if document.gold:
                counts.append(_count(job, linker, document))
        write_atomically(job.scratch / f"counts-{chunk.number:05}.json", json.dumps(counts))
        write_atomically(file, "".join(map(to_line, linked)))
    return chunk.size


def _count(job: Job, linker: Linker, document: Document) -> dict[str, Any]:
    """How the linker and the baseline do on a document with given links."""
    rows = _titles(job.graph, job.linker).graph.row
    given = _titles(job.graph, job.linker).resolve(document.gold, document.text)
    matches = linker.gazetteer.find(document.text)
    predicted = [Link(mention.start, mention.end, rows(mention.entity)) for mention in document.mentions]
    every = (
        Link(int(matches.starts[owner]), int(matches.ends[owner]), row)
        for owner, row in zip(matches.owners.tolist(), matches.rows.tolist(), strict=True)
    )
    return {
        "held_out": held_out(document.id, job.share),
        "linker": count(predicted, given, job.complete),
        "baseline": count(decide_by_prior(matches), given, job.complete),
        "candidates": candidate_recall(every, given),
    }


def read_counts(scratch: Path, chunks: Sequence[Chunk]) -> list[dict[str, Any]]:
    """What `link_chunk` counted, document by document."""
    return [
        entry
        for chunk in chunks
        for entry in json.loads((scratch / f"counts-{chunk.number:05}.json").read_text())
    ]


def concatenate(scratch: Path, chunks: Sequence[Chunk], file: Path) -> None:
    """All linked chunks in order as one file."""
    with file.open("wb") as stream:
        for chunk in chunks:
            stream.write((scratch / f"linked-{chunk.number:05}.jsonl").read_bytes())


def build_linker(job: Job, max_candidates: int, min_length: int) -> None:
    """Build the untrained linker of a graph in its folder, unless it is there."""
    if job.linker.exists():
        return
    graph = open_graph(job.graph)
    with job.documents.open("rb") as stream:
        casing = Casing.count_with(graph.descriptions, (json.loads(line)["text"] for line in stream))
    fresh = job.linker.with_name(job.linker.name + ".partial")
    fresh.mkdir(parents=True, exist_ok=True)
    Linker.build(graph, casing, limit=max_candidates, min_length=min_length).save(fresh)
    fresh.rename(job.linker)


def write_atomically(file: Path, text: str) -> None:
    """Write a file that is either whole or not there."""
    partial = file.with_name(file.name + ".partial")
    with partial.open("w", encoding="utf-8", newline="\n") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    partial.replace(file)


def _documents(job: Job, chunk: Chunk) -> list[Document]:
    with job.documents.open("rb") as stream:
        stream.seek(chunk.begin)
        lines = stream.read(chunk.end - chunk.begin).splitlines()
    return [from_record(json.loads(line), default_id="") for line in lines]


def _read(job: Job, chunk: Chunk) -> Iterator[tuple[Document, Annotations]]:
    text = (job.scratch / f"read-{chunk.number:05}.jsonl").read_text(encoding="utf-8")
    annotations = map(_from_line, text.splitlines())
    return zip(_documents(job, chunk), annotations, strict=True)


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
def _annotator(language: str, model: str | None, ner: bool) -> Annotator:
    return make_annotator(language, model, ner)


@lru_cache(maxsize=1)
def _linker(folder: Path) -> Linker:
    return Linker.open(folder)


@lru_cache(maxsize=1)
def _titles(graph: Path, linker: Path) -> Titles:
    return Titles(open_graph(graph), Lexicon.open(linker / "lexicon"), Casing.open(linker / "casing"))
