"""Small shards for tests."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from kepipe.data.alignment import DOCUMENT, ENTITY, PHRASE, SENTENCE, WORD, Columns
from kepipe.data.shards import Shard, ShardWriter, open_shard

ALL = WORD | PHRASE | ENTITY | SENTENCE


def write_shard(folder: Path, documents: list[list[int]], rng: np.random.Generator | None = None) -> Shard:
    """Documents as lists of sentence lengths; token k of the stream has the id 10 + k; words of 1 to 3 tokens."""
    lengths = np.array([sum(sentences) for sentences in documents], dtype=np.int64)
    total = int(lengths.sum())
    rng = rng or np.random.default_rng(0)
    bounds = np.where(rng.random(total) < 0.6, WORD | PHRASE | ENTITY, 0).astype(np.uint8)
    sizes = np.array([size for sentences in documents for size in sentences], dtype=np.int64)
    bounds[np.cumsum(sizes) - sizes] = ALL
    bounds[(np.cumsum(lengths) - lengths)[lengths > 0]] |= DOCUMENT
    entities = np.where(rng.random(total) < 0.1, rng.integers(0, 5, total), -1).astype(np.int32)
    columns = Columns(np.arange(10, 10 + total), bounds, entities, lengths, 0, 0)
    with ShardWriter(folder, 60_000) as writer:
        writer.append(columns, (f"d{i}" for i in range(len(documents))))
        writer.finish()
    return open_shard(folder)


def random_documents(rng: np.random.Generator, count: int, longest: int = 40) -> list[list[int]]:
    """Some documents of 1 to 12 sentences."""
    return [rng.integers(1, longest, rng.integers(1, 13)).tolist() for _ in range(count)]
