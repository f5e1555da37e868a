"""Link a large corpus chunk by chunk, in parallel; an interrupted run resumes from its finished chunks.

There are three passes over the chunks: annotate (each document is parsed once, and the later passes read the annotated
chunk from its file), extract training examples, link. Between them, the untrained linker is built from the word
counts of all chunks, and the ranker is trained on the examples of all chunks. A process holds at most one chunk at a
time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from kepipe.data.document_stream import Chunk
from kepipe.data.workers import Workers
from kepipe.files import filling
from kepipe.linking.corpus.chunks import annotate_chunk, examples_of_chunk, link_chunk, open_chunk
from kepipe.linking.corpus.job import Job, cut
from kepipe.linking.corpus.scores import CorpusCounts, score_corpus
from kepipe.linking.kb.dense import DenseView
from kepipe.linking.linker import Linker
from kepipe.linking.text.casing import Casing
from kepipe.linking.training.learn import Learned, learn
from kg.store import Graph, open_graph

FIRST = 20
"""The number of texts that are passed to the `begun` callback."""
MakeDense = Callable[[Linker, Graph], DenseView]
"""(an untrained linker, its graph) → the dense view of the graph."""


@dataclass(frozen=True)
class LinkerSettings:
    """`max_candidates` and `min_length` as in `Gazetteer`; `train`: train the ranker on the gold links, if there are
    enough of them; `threshold` None: the ranker's own; `device`: where the ranker is fitted; `dense`:
    makes a dense view, None: there is none.
    """

    max_candidates: int
    min_length: int
    train: bool
    threshold: float | None
    device: str = "cpu"
    dense: MakeDense | None = None


@dataclass(frozen=True)
class LinkedCorpus:
    """The linker of a corpus, the number of mentions, the result of `score_corpus`, and the number of documents whose
    annotations were cached (`known`)."""

    linker: Linker
    mentions: int
    scores: dict[str, Any]
    known: int = 0


def link_corpus(
    job: Job, settings: LinkerSettings, workers: Workers, documents: Path, begun: Callable[[list[str]], None]
) -> LinkedCorpus:
    """Link the documents of a job and write them to `documents`, in order.

    `begun` is called with the first texts, at most FIRST, as soon as they are annotated.
    """
    chunks: list[Chunk] = []
    spellings: Counter[str] = Counter()
    known = 0
    if job.annotation_memo is not None:
        job.annotation_memo.write_index()
    for chunk, counted in workers.run("annotating", job.documents, cut(job.documents), annotate_chunk, job):
        if not chunks:
            begun(open_chunk(job, chunk).columns.texts[:FIRST])
        chunks.append(chunk)
        spellings.update(counted.spellings)
        known += counted.known
    build_linker(job, spellings, settings.max_candidates, settings.min_length, settings.dense)
    linker = Linker.open(job.linker)
    learned: Learned | None = None
    if settings.train:
        examples = [
            example
            for _, part in workers.run(
                "reading the given links", job.documents, chunks, examples_of_chunk, job
            )
            for example in part
        ]
        learned = learn(examples, len(linker.knowledge.type_names), job.complete_gold, device=settings.device)
    ranker = linker.ranker if learned is None else learned.ranker
    threshold = ranker.threshold if settings.threshold is None else settings.threshold
    ranker = replace(ranker, threshold=threshold)
    for _ in workers.run("linking", job.documents, chunks, link_chunk, job, ranker):
        pass
    with documents.open("wb") as stream:
        for chunk in chunks:
            stream.write(job.linked(chunk).read_bytes())
    counts = CorpusCounts.read([job.counts(chunk) for chunk in chunks])
    scores = score_corpus(counts.documents, learned, job.complete_gold)
    return LinkedCorpus(linker.with_ranker(ranker, job.marks), counts.mentions, scores, known)


def build_linker(
    job: Job,
    spellings: Mapping[str, int],
    max_candidates: int,
    min_length: int,
    dense: MakeDense | None = None,
) -> None:
    """Build the untrained linker from the graph and the documents' word counts into its folder, unless an intact one is
    there."""
    if _opens(job.linker):
        return
    graph = open_graph(job.graph)
    casing = Casing.count_with(graph.descriptions, spellings)
    with filling(job.linker, durable=False) as folder:
        linker = Linker.build(graph, casing, limit=max_candidates, min_length=min_length)
        if dense is not None:
            linker = replace(linker, dense=dense(linker, graph))
        linker.save(folder)


def _opens(folder: Path) -> bool:
    """Whether the folder holds an intact linker of an earlier attempt."""
    try:
        Linker.open(folder)
    except (OSError, ValueError):
        return False
    return True
