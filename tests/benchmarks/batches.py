"""Rendering and corruption, tokens a second of one core: `python -m tests.benchmarks.batches SHARDS_FOLDER [LENGTH]`.

A training step of BERT-mini takes about 12,000 tokens a second on two cores; preparing them must stay below 3%.
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
    """What is measured after rendering."""

    def masked(choose: Callable[[TokenRows, np.random.Generator], np.ndarray]) -> Corruption:
        def run(s: TokenRows, rng: np.random.Generator) -> object:
            drawn = draw_replacements(s.tokens.shape, tokenizer.mask, tokenizer.ordinary, rng)
            return replace(s.tokens, choose(s, rng), drawn)

        return run

    def t5(s: TokenRows, rng: np.random.Generator) -> object:
        noise = draw_spans(s.special, rng)
        special = {"pad_id": tokenizer.pad, "end_id": tokenizer.sep}
        return collapse_spans(s.tokens, noise, s.documents == 0, tokenizer.sentinels, **special)

    return {
        "nothing": lambda s, rng: None,
        "tokens": masked(lambda s, rng: select_tokens(s.special, rng)),
        "entities": masked(lambda s, rng: select_units(s.units["entity"], rng)),
        "n-grams": masked(lambda s, rng: select_ngrams(s.special, rng)),
        "MASS": masked(lambda s, rng: mark(*draw_fragment(s.special, rng), s.tokens.shape[1])),
        "BART": lambda s, rng: corrupt(take_text(s), Denoising(), tokenizer.mask, rng),
        "T5": t5,
    }


def main(folder: Path, length: int) -> None:
    shard, tokenizer = open_shard(folder / "train"), load_tokenizer(folder / "tokenizer")
    for format in FORMATS:
        batches = open_batches(shard, tokenizer, format=format, length=length)
        real = batches.examples.lengths.sum()
        line, padded = [], 0
        for name, corruption in corruptions(tokenizer).items():
            began, padded = time.process_time(), 0
            for n in range(batches.per_epoch):
                sequences = batches[n]
                corruption(sequences, np.random.default_rng([0, n]))
                padded += sequences.tokens.size
            line.append(f"{name} {padded / (time.process_time() - began) / 1e6:.1f}")
        print(f"{format:15} padding {1 - real / padded:.1%}  million tokens/s: {', '.join(line)}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 128)
