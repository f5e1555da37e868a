"""Link a large corpus chunk by chunk, in parallel, so that a killed run goes on from the chunks it has.

The documents are read three times, since each step needs what the one before learned of all of them: once to count
which words are common (that pass also cuts the chunks), once to annotate them and to make training examples with the
linker that knows the common words, and once to link them with the ranker that learned from the examples. No more than
a chunk of them is held by a process at a time.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from kepipe.linking.corpus.chunks import annotate_chunk, link_chunk
from kepipe.linking.corpus.job import Chunk, Job, cut, open_chunks, save_chunks
from kepipe.linking.corpus.scores import CorpusCounts, score_corpus
from kepipe.linking.linker import Linker
from kepipe.linking.text.casing import Casing
from kepipe.linking.training.learn import Learned, learn
from kepipe.worker_processes import end_with_parent
from kg.store import open_graph

Progress = Callable[[str, int, str], AbstractContextManager[Callable[[int], None]]]
"""What is done, how many of what: a bar to be told how many are done (`StageContext.progress`)."""


@dataclass(frozen=True)
class LinkerSettings:
    """`max_candidates` and `min_length` as in `Gazetteer`; `train`: on given links, where there are enough of them;
    `threshold` None: the ranker's own; `pronouns` as in `Policy`.
    """

    max_candidates: int
    min_length: int
    train: bool
    threshold: float | None
    pronouns: bool


@dataclass(frozen=True)
class Workers:
    """Processes that work on chunks; `count` −1: one a processor."""

    count: int
    progress: Progress

    def run(self, what: str, chunks: Sequence[Chunk], do: Callable[..., Any], *args: Any) -> Iterator[Any]:
        """`do(*args, chunk)` of each chunk, in order, with a progress bar in documents."""
        from joblib import Parallel, delayed, parallel_config

        # loky renews a process that has grown much, as one does that loads spaCy; no job is lost by it.
        warnings.filterwarnings("ignore", message="A worker stopped while some jobs")
        # One thread a process: more would only wait for each other.
        with (
            self.progress(what, sum(chunk.size for chunk in chunks), "documents") as tick,
            parallel_config("loky", inner_max_num_threads=1, initializer=end_with_parent),
        ):
            results = Parallel(n_jobs=self.count, return_as="generator")(
                delayed(do)(*args, chunk) for chunk in chunks
            )
            for chunk, result in zip(chunks, results, strict=True):
                tick(chunk.size)
                yield result


@dataclass(frozen=True)
class LinkedCorpus:
    """The linker that linked a corpus, how many mentions it found, and `score_corpus` of them."""

    linker: Linker
    mentions: int
    scores: dict[str, Any]


def link_corpus(job: Job, settings: LinkerSettings, workers: Workers, documents: Path) -> LinkedCorpus:
    """Link the documents of a job and write them to `documents`, in order."""
    chunks = build_linker(job, settings.max_candidates, settings.min_length)
    annotated = workers.run("annotating", chunks, annotate_chunk, job, settings.train)
    examples = [example for part in annotated for example in part]
    linker = Linker.open(job.linker)
    learned: Learned | None = None
    if settings.train:
        learned = learn(examples, len(linker.knowledge.type_names), job.complete_gold)
    ranker = linker.ranker if learned is None else learned.ranker
    threshold = ranker.threshold if settings.threshold is None else settings.threshold
    ranker = replace(ranker, pronouns=settings.pronouns, threshold=threshold)
    for _ in workers.run("linking", chunks, link_chunk, job, ranker):
        pass
    with documents.open("wb") as stream:
        for chunk in chunks:
            stream.write(job.linked(chunk).read_bytes())
    counts = CorpusCounts.read([job.counts(chunk) for chunk in chunks])
    scores = score_corpus(counts.documents, learned, job.complete_gold)
    return LinkedCorpus(linker.with_ranker(ranker), counts.mentions, scores)


def build_linker(job: Job, max_candidates: int, min_length: int) -> list[Chunk]:
    """Build the untrained linker of a graph in its folder and cut the documents, unless both are there; the chunks."""
    if job.chunks.exists() and job.linker.exists():
        return open_chunks(job.chunks)
    chunks: list[Chunk] = []
    graph = open_graph(job.graph)
    texts = (json.loads(line)["text"] for line in cut(job.documents, chunks))
    casing = Casing.count_with(graph.descriptions, texts)
    save_chunks(job.chunks, chunks)
    fresh = job.linker.with_name(job.linker.name + ".partial")
    fresh.mkdir(parents=True, exist_ok=True)
    Linker.build(graph, casing, limit=max_candidates, min_length=min_length).save(fresh)
    fresh.rename(job.linker)
    return chunks
