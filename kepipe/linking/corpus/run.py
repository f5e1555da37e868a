"""Link a large corpus chunk by chunk, in parallel; an interrupted run resumes from its finished chunks.

There are three passes over the chunks: annotate (each document is parsed once, and the later passes read the annotated
chunk from its file), extract training examples, link. Between them, the untrained linker is built from the word
counts of all chunks, and the ranker is trained on the examples of all chunks; nothing else in the links of a document
depends on the other documents. Documents that an earlier run has linked with an equal linker keep their links
(`LinkMemo`). A process holds at most one chunk at a time.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

from kepipe.data.document_stream import Chunk, DocumentStream
from kepipe.data.workers import Workers
from kepipe.files import filling
from kepipe.flow.artifact import hash_file, hash_json
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
    """The linker of a corpus, its counts, and the result of `score_corpus`; `known`: the number of documents whose
    annotations were cached."""

    linker: Linker
    counts: CorpusCounts
    scores: dict[str, Any]
    known: int = 0


def link_corpus(
    job: Job, settings: LinkerSettings, workers: Workers, documents: Path, begun: Callable[[list[str]], None]
) -> LinkedCorpus:
    """Link the documents of a job and write them to `documents`, in order.

    `begun` is called with the first texts, at most FIRST, before documents are linked. With a kept linker there is one
    pass, in which new documents are annotated and linked, and `settings` are not used.
    """
    if job.annotation_memo is not None:
        job.annotation_memo.write_index()
    learned: Learned | None = None
    if job.earlier_linker is None:
        chunks, known = _annotate(job, settings, workers, begun)
        linker = Linker.open(job.linker)
        learned = _learn(job, settings, workers, chunks, linker)
        ranker = linker.ranker if learned is None else learned.ranker
        if settings.threshold is not None:
            ranker = replace(ranker, threshold=settings.threshold)
        linker = linker.with_ranker(ranker, job.marks)
    else:
        chunks, known = list(cut(job.documents)), 0
        begun([document.text for document in islice(DocumentStream(job.documents), FIRST)])
        linker = Linker.open(job.linker)
    memo = job.link_memo(linker_digest(job.linker, linker))
    if memo is not None:
        memo.write_index()
    for _ in workers.run("linking", job.documents, chunks, link_chunk, job, linker.ranker, memo):
        pass
    with documents.open("wb") as stream:
        for chunk in chunks:
            stream.write(job.linked(chunk).read_bytes())
    counts = CorpusCounts.read([job.counts(chunk) for chunk in chunks])
    scores = score_corpus(counts.documents, learned, job.complete_gold, trained=linker.ranker.trained)
    return LinkedCorpus(linker, counts, scores, known + counts.known)


def _annotate(
    job: Job, settings: LinkerSettings, workers: Workers, begun: Callable[[list[str]], None]
) -> tuple[list[Chunk], int]:
    """Annotate all chunks and build the untrained linker. Returns the chunks, and the number of documents whose
    annotations were cached."""
    chunks: list[Chunk] = []
    spellings: Counter[str] = Counter()
    known = 0
    for chunk, counted in workers.run("annotating", job.documents, cut(job.documents), annotate_chunk, job):
        if not chunks:
            begun(open_chunk(job, chunk).columns.texts[:FIRST])
        chunks.append(chunk)
        spellings.update(counted.spellings)
        known += counted.known
    build_linker(job, spellings, settings.max_candidates, settings.min_length, settings.dense)
    return chunks, known


def _learn(
    job: Job, settings: LinkerSettings, workers: Workers, chunks: Sequence[Chunk], linker: Linker
) -> Learned | None:
    """Train the ranker on the examples of all chunks; None if it is not to be trained, or there are too few."""
    if not settings.train:
        return None
    parts = workers.run("reading the given links", job.documents, chunks, examples_of_chunk, job)
    examples = [example for _, part in parts for example in part]
    return learn(examples, len(linker.knowledge.type_names), job.complete_gold, device=settings.device)


def linker_digest(folder: Path, linker: Linker) -> str:
    """Digest of a linker whose columns are in `folder`; `linker.json` there may have another ranker."""
    columns = {
        str(file.relative_to(folder)): hash_file(file)
        for file in folder.rglob("*")
        if file.is_file() and file.name != "linker.json"
    }
    return hash_json([columns, linker.settings()])


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
