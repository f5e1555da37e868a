"""Link a large corpus chunk by chunk, in parallel, so that a killed run goes on from the chunks it has.

A document is parsed once: annotated, it goes into the file of its chunk, from which the later passes read it. Each step
needs what the one before learned of all chunks: the untrained linker needs to know which words are common, the ranker
needs examples that this linker makes, and the links need the ranker. A process holds no more than a chunk at a time.
"""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from kepipe.files import filling
from kepipe.linking.corpus.chunks import annotate_chunk, examples_of_chunk, link_chunk, open_chunk
from kepipe.linking.corpus.job import Chunk, Job, cut
from kepipe.linking.corpus.scores import CorpusCounts, score_corpus
from kepipe.linking.linker import Linker
from kepipe.linking.text.casing import Casing
from kepipe.linking.training.learn import Learned, learn
from kepipe.worker_processes import end_with_parent
from kg.store import open_graph

Progress = Callable[[str, int, str], AbstractContextManager[Callable[[int], None]]]
"""What is done, how many of what: a bar to be told how many are done (`StageContext.progress`)."""


FIRST = 20
"""Texts by which the user is told what may be wrong."""


@dataclass(frozen=True)
class LinkerSettings:
    """`max_candidates` and `min_length` as in `Gazetteer`; `train`: on given links, where there are enough of them;
    `threshold` None: the ranker's own.
    """

    max_candidates: int
    min_length: int
    train: bool
    threshold: float | None


@dataclass(frozen=True)
class Workers:
    """Processes that work on chunks; `count` −1: one a processor."""

    count: int
    progress: Progress

    def run(
        self, what: str, job: Job, chunks: Iterable[Chunk], do: Callable[..., Any], *args: Any
    ) -> Iterator[tuple[Chunk, Any]]:
        """Each chunk of a job with `do(job, *args, chunk)`, in order, with a progress bar in bytes."""
        from joblib import Parallel, delayed, parallel_config

        # loky renews a process that has grown much, as one does that loads spaCy; no job is lost by it.
        warnings.filterwarnings("ignore", message="A worker stopped while some jobs")
        sent: list[Chunk] = []  # not `chunks`, of which each is asked for once, by whoever sends it

        def calls() -> Iterator[Any]:
            for chunk in chunks:
                sent.append(chunk)
                yield delayed(do)(job, *args, chunk)

        # One thread a process: more would only wait for each other.
        with (
            self.progress(what, job.documents.stat().st_size, "bytes") as tick,
            parallel_config("loky", inner_max_num_threads=1, initializer=end_with_parent),
        ):
            results = Parallel(n_jobs=self.count, return_as="generator")(calls())
            for number, result in enumerate(results):
                tick(sent[number].end - sent[number].begin)
                yield sent[number], result


@dataclass(frozen=True)
class LinkedCorpus:
    """The linker that linked a corpus, how many mentions it found, and `score_corpus` of them."""

    linker: Linker
    mentions: int
    scores: dict[str, Any]


def link_corpus(
    job: Job, settings: LinkerSettings, workers: Workers, documents: Path, begun: Callable[[list[str]], None]
) -> LinkedCorpus:
    """Link the documents of a job and write them to `documents`, in order.

    `begun` is called with the first texts, up to FIRST, as soon as they are annotated.
    """
    chunks: list[Chunk] = []
    spellings: Counter[str] = Counter()
    for chunk, counted in workers.run("annotating", job, cut(job.documents), annotate_chunk):
        if not chunks:
            begun(open_chunk(job, chunk).columns.texts[:FIRST])
        chunks.append(chunk)
        spellings.update(counted)
    build_linker(job, spellings, settings.max_candidates, settings.min_length)
    linker = Linker.open(job.linker)
    learned: Learned | None = None
    if settings.train:
        examples = [
            example
            for _, part in workers.run("reading the given links", job, chunks, examples_of_chunk)
            for example in part
        ]
        learned = learn(examples, len(linker.knowledge.type_names), job.complete_gold)
    ranker = linker.ranker if learned is None else learned.ranker
    threshold = ranker.threshold if settings.threshold is None else settings.threshold
    ranker = replace(ranker, threshold=threshold)
    for _ in workers.run("linking", job, chunks, link_chunk, ranker):
        pass
    with documents.open("wb") as stream:
        for chunk in chunks:
            stream.write(job.linked(chunk).read_bytes())
    counts = CorpusCounts.read([job.counts(chunk) for chunk in chunks])
    scores = score_corpus(counts.documents, learned, job.complete_gold)
    return LinkedCorpus(linker.with_ranker(ranker, job.marks), counts.mentions, scores)


def build_linker(job: Job, spellings: Mapping[str, int], max_candidates: int, min_length: int) -> None:
    """Build the untrained linker of a graph and of the words of the documents in its folder, unless it is there and
    whole."""
    if _opens(job.linker):
        return
    graph = open_graph(job.graph)
    casing = Casing.count_with(graph.descriptions, spellings)
    with filling(job.linker, durable=False) as folder:
        Linker.build(graph, casing, limit=max_candidates, min_length=min_length).save(folder)


def _opens(folder: Path) -> bool:
    """Whether an earlier attempt left a linker there that is not damaged."""
    try:
        Linker.open(folder)
    except (OSError, ValueError):
        return False
    return True
