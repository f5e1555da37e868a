"""Documents → shards, chunk by chunk; an interrupted attempt resumes from its last saved progress."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np

from kepipe.arrays import Ints32
from kepipe.data.alignment import WORD
from kepipe.data.encoding import Encoding
from kepipe.data.parsed_chunks import SPLITS
from kepipe.data.shards import ShardWriter, holds, open_shard
from kepipe.tokenization.tokenizer import Tokenizer
from kg.regular_files import read_json

NOTE_EVERY = 5.0
"""Seconds between saves of the progress."""


@dataclass
class ShardProgress:
    """The progress so far, enough to resume. `offset`: bytes read of the documents file."""

    documents: int = 0
    offset: int = 0
    mentions: int = 0
    aligned: int = 0
    words: int = 0
    kept: int = 0
    """Documents that an earlier run has tokenised."""
    unknown: int = 0
    entities: dict[str, int] = field(default_factory=dict)
    """Entity → row, in order of first occurrence."""
    sizes: dict[str, dict[str, int]] = field(default_factory=dict)
    """Split → file → bytes."""

    @classmethod
    def open(cls, scratch: Path) -> ShardProgress:
        """The progress of an earlier attempt if its files are intact; else no progress."""
        file = _file(scratch)
        try:
            progress = cls(**read_json(file))
            if all(holds(scratch / split, sizes) for split, sizes in progress.sizes.items()):
                return progress
        except (FileNotFoundError, ValueError, TypeError, KeyError, AttributeError):  # none, or a damaged one
            pass
        return cls()

    def note(self, scratch: Path, writers: Mapping[str, ShardWriter]) -> None:
        """Save the progress, with the file sizes of the writers."""
        self.sizes = {split: writer.sizes() for split, writer in writers.items()}
        unfinished = _file(scratch).with_suffix(".unfinished")
        unfinished.write_text(json.dumps(asdict(self), ensure_ascii=False), encoding="utf-8")
        unfinished.replace(_file(scratch))

    def rows(self, entities: Sequence[str]) -> Ints32:
        """The row of each entity, followed by −1: int32 [entities + 1]. A new entity gets the next row."""
        rows = [self.entities.setdefault(entity, len(self.entities)) for entity in entities]
        return np.array([*rows, -1], np.int32)


def _file(scratch: Path) -> Path:
    return scratch / "shard_progress.json"


def write_shards(
    encoding: Encoding, tokenizer: Tokenizer, progress: ShardProgress, scratch: Path
) -> Iterator[int]:
    """Append the documents after `progress` to the shards in `scratch`, chunk by chunk; yields the bytes of each."""
    unknown = tokenizer.id(tokenizer.named.get("unk", ""))
    with ExitStack() as stack:
        writers = {
            split: stack.enter_context(
                ShardWriter(scratch / split, tokenizer.vocab_size, progress.sizes.get(split))
            )
            for split in SPLITS
        }
        noted = time.monotonic()
        for chunk in encoding.read(progress.offset, progress.documents):
            rows = progress.rows(chunk.entities)
            for split, (encoded, ids, titles) in chunk.splits.items():
                # An index −1 takes the −1 at the end.
                columns = replace(encoded, entities=rows[encoded.entities])
                writers[split].append(columns, ids, titles)
                progress.mentions += columns.mentions
                progress.aligned += columns.aligned
                progress.words += int((columns.bounds & WORD > 0).sum())
                progress.unknown += int((columns.tokens == unknown).sum())
            progress.kept += (chunk.line - progress.documents) * chunk.kept
            size, progress.offset, progress.documents = (
                chunk.offset - progress.offset,
                chunk.offset,
                chunk.line,
            )
            if time.monotonic() - noted > NOTE_EVERY:
                progress.note(scratch, writers)
                noted = time.monotonic()
            yield size
        progress.note(scratch, writers)
        for writer in writers.values():
            writer.finish()


def publish(progress: ShardProgress, scratch: Path, out: Path, share: float) -> dict[str, float]:
    """Copy the finished shards to `out` and write `entities.txt`. Returns counts as metrics.

    Raises ValueError if no text is left for training, or an entity's id contains a line break.
    """
    train, rest = (len(open_shard(scratch / split)) for split in SPLITS)
    if not train:
        raise ValueError(
            f"no text to train on: all {progress.documents} documents fall into the held-out share of "
            f"{share}; lower `held_out` of the corpus or add documents"
        )
    unusable = [entity for entity in progress.entities if "\n" in entity]
    if unusable:
        raise ValueError(f"an entity's id must not contain a line break: {unusable[0]!r}")
    for split in SPLITS:
        shutil.copytree(scratch / split, out / split)
    lines = "".join(f"{entity}\n" for entity in progress.entities)
    (out / "entities.txt").write_text(lines, encoding="utf-8")
    return {
        "tokens": train,
        "held_out_tokens": rest,
        "tokens_per_word": (train + rest) / max(progress.words, 1),
        "unknown": progress.unknown / max(train + rest, 1),
        "entities": len(progress.entities),
        "mentions": progress.mentions,
        "aligned": progress.aligned,
        "kept_documents": progress.kept,
    }
