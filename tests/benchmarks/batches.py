"""Tokens per second of making batches on one core: `python -m tests.benchmarks.batches SHARDS_FOLDER [LENGTH]`.

BERT-mini trains on about 12,000 tokens per second on two cores; preparing them must take less than 3% of the time.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from kepipe.data.batch import TokenRows
from kepipe.data.formats import FormatName
from kepipe.data.row_batches import open_batches
from kepipe.data.shards import open_shard
from kepipe.noise.fragment import draw_fragment, mark
from kepipe.noise.ngrams import select_ngrams
from kepipe.noise.sentences import Denoising, corrupt, take_text
from kepipe.noise.spans import collapse_spans, draw_spans
from kepipe.noise.tokens import draw_replacements, replace, select_tokens
from kepipe.noise.units import select_units
from kepipe.tokenization.tokenizer import Tokenizer, load_tokenizer

FORMATS: tuple[FormatName, ...] = (
    "segment-pair",
    "sentence-pair",
    "full-sentences",
    "doc-sentences",
    "packed",
)
Corruption = Callable[[TokenRows, np.random.Generator], object]


def corruptions(tokenizer: Tokenizer) -> dict[str, Corruption]:
    """Name → corruption that is measured, building of the rows included."""

    def masked(select: Callable[[TokenRows, np.random.Generator], np.ndarray]) -> Corruption:
        def run(rows: TokenRows, rng: np.random.Generator) -> object:
            drawn = draw_replacements(rows.tokens.shape, tokenizer.mask, tokenizer.ordinary, rng)
            return replace(rows.tokens, select(rows, rng), drawn)

        return run

    def t5(rows: TokenRows, rng: np.random.Generator) -> object:
        noise = draw_spans(rows.special, rng)
        special = {"pad_id": tokenizer.pad, "end_id": tokenizer.sep}
        return collapse_spans(rows.tokens, noise, rows.documents == 0, tokenizer.sentinels, **special)

    return {
        "nothing": lambda rows, rng: None,
        "tokens": masked(lambda rows, rng: select_tokens(rows.special, rng)),
        "entities": masked(lambda rows, rng: select_units(rows.units["entity"], rng)),
        "n-grams": masked(lambda rows, rng: select_ngrams(rows.special, rng)),
        "MASS": masked(lambda rows, rng: mark(*draw_fragment(rows.special, rng), rows.tokens.shape[1])),
        "BART": lambda rows, rng: corrupt(take_text(rows), Denoising(), tokenizer.mask, rng),
        "T5": t5,
    }


def main(folder: Path, length: int) -> None:
    shard, tokenizer = open_shard(folder / "train"), load_tokenizer(folder / "tokenizer")
    for format in FORMATS:
        batches = open_batches(shard, tokenizer, format=format, length=length)
        tokens = batches.examples.lengths.sum()
        results, padded = [], 0
        for name, corruption in corruptions(tokenizer).items():
            start, padded = time.process_time(), 0
            for n in range(batches.per_epoch):
                rows = batches[n]
                corruption(rows, np.random.default_rng([0, n]))
                padded += rows.tokens.size
            results.append(f"{name} {padded / (time.process_time() - start) / 1e6:.1f}")
        print(f"{format:15} padding {1 - tokens / padded:.1%}  million tokens/s: {', '.join(results)}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 128)
