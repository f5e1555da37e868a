"""An n-gram model as a language model: batched scoring and generation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kepipe.arrays import Bools, Floats, Ints, pad
from kepipe.models.next_token import continue_texts, greedy
from kepipe.models.ngram.config import NgramConfig, read_ngram_config
from kepipe.models.ngram.counting import BOS, EOS, UNK
from kepipe.models.ngram.tables import NgramTables, open_tables
from kepipe.models.ngram.vocabulary import Vocabulary, begun, is_unknown, load_words, match
from kepipe.tokenization.tokenizer import Tokenizer, load_tokenizer

LN10 = float(np.log(10))


@dataclass(frozen=True)
class NgramModel:
    """A `NextTokenModel` with its `OwnVocabulary`, based on counts."""

    config: NgramConfig
    tables: NgramTables
    vocabulary: Vocabulary
    tokenizer: Tokenizer

    def log_likelihoods(
        self, prompts: Sequence[Ints], rows: Sequence[int], targets: Sequence[Ints]
    ) -> Floats:
        """See `LanguageModel`. A text starts at its prompt."""
        lengths_N = np.array([len(target) for target in targets])
        contexts = [self._context(prompt) for prompt in prompts]
        parts = [
            part
            for row, target in zip(rows, targets, strict=True)
            for part in (contexts[row], self.vocabulary.of_token[target])
        ]
        asked_T = np.repeat(np.tile([False, True], len(targets)), [len(part) for part in parts])
        scores = self.tables.score(np.concatenate(parts))[asked_T] * LN10
        return pad(scores, lengths_N, 0)

    def log_probabilities(self, texts: Sequence[Ints]) -> Floats:
        """See `NextTokenModel`."""
        found_BW = self.tables.following([self._context(text) for text in texts]) * LN10
        tokens_W = self.vocabulary.tokens
        written_W = tokens_W >= 0
        written_W[[UNK, BOS]] = False  # neither can be generated
        found_BV = np.full((len(texts), self.tokenizer.vocab_size), -np.inf)
        found_BV[:, tokens_W[written_W]] = found_BW[:, written_W]
        return found_BV

    def unknown(self, tokens_T: Ints) -> Bools:
        """See `OwnVocabulary`."""
        return is_unknown(self.vocabulary.of_token[tokens_T])

    @property
    def end(self) -> int:
        """See `NextTokenModel`; −1 if the tokenizer has no such token."""
        return int(self.vocabulary.tokens[EOS])

    @property
    def num_parameters(self) -> int:
        """See `CountsParameters`."""
        columns = (*self.tables.log_probs, *self.tables.weights)
        return sum(map(len, columns))

    def generate(self, prompts: Sequence[Ints], *, limit: int) -> list[Ints]:
        """See `TextGenerator`."""
        return continue_texts(self, prompts, limit, greedy)

    def _context(self, text: Ints) -> Ints:
        """The last words of a text on which the next word depends."""
        reach = self.tables.order - 1
        if len(text) < reach:
            return begun(text, self.vocabulary)
        return self.vocabulary.of_token[text[len(text) - reach :]]


def load(folder: Path) -> NgramModel:
    """The model of a folder. Raises ValueError if it is damaged."""
    config, tokenizer = read_ngram_config(folder), load_tokenizer(folder)
    tables, words = open_tables(folder, config.order, config.bits), load_words(folder)
    if len(words) != tables.words:
        raise ValueError(f"{folder}: {len(words):,} words, but probabilities of {tables.words:,}")
    return NgramModel(config, tables, match(words, tokenizer), tokenizer)
