"""A small vocabulary of capitals, and a masked language model whose logits depend on the whole row."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from kepipe.tokenization.tokenizer import Tokenizer, load_tokenizer

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
LETTERS = [*"abcdefg", "##x", "##y", "##z"]
CITIES = ["paris", "oslo", "lima", "rome", "bern"]
LANDS = ["france", "norway", "peru", "italy", "switzerland"]
COUNTRIES = dict(zip(LANDS, CITIES, strict=True))
WORDS = [*SPECIAL, "the", "capital", "of", "is", ".", "lies", "in", *LETTERS, *CITIES, *LANDS]


def make_tokenizer(folder: Path) -> Tokenizer:
    """The tokenizer of `WORDS`."""
    file = folder / "vocab.txt"
    file.write_text("\n".join(WORDS) + "\n", encoding="utf-8")
    return load_tokenizer(file)


class OfRow:
    """A masked language model that gives each token a logit drawn from the whole row and the queried position, and from
    nothing else."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.tokenizer, self.rows = tokenizer, 0

    def masked_logits(self, batch) -> torch.Tensor:
        self.rows += len(batch.tokens)
        width = batch.tokens.shape[1]
        return torch.stack([
            self.logits(batch.tokens[place // width][batch.documents[place // width] > 0].tolist(), place % width)
            for place in batch.label_positions.tolist()
        ])  # fmt: skip

    def logits(self, row: list[int], place: int) -> torch.Tensor:
        return torch.from_numpy(
            np.random.default_rng([*row, place]).normal(size=self.tokenizer.vocab_size)
        ).float()
