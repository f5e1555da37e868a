"""Perplexity on held-out text, with one rule for GPT and for encoder-decoders: go on from what stands before.

A document is cut into stretches of S tokens; each is scored token by token after the stretch before it, which
is the prompt. For GPT that is the sliding window with half of it overlapping. Tokens of different vocabularies
do not compare, so losses are told per word and per byte of the original text as well.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from kepipe.arrays import Floats, Ints
from kepipe.data.document import Document
from kepipe.models.lm_scorer import LMScorer
from kepipe.studies.intervals import Estimate, clustered_ratio
from kepipe.tokenization.tokenizer import Tokenizer

ROWS = 16
"""Stretches that go through the model together."""
AROUND = 4
"""Special tokens that stand around a prompt and its continuation, at most."""


@dataclass(frozen=True)
class EvalWindows:
    """R pieces of held-out text and what stands before each.

    `prompts`, `targets`: tokens, int [S] and at most that; `documents`: int [R]. Of each target `words`
    (begun by white space) and `bytes` (UTF-8) of the original text that it covers, int [R].
    """

    prompts: tuple[Ints, ...]
    targets: tuple[Ints, ...]
    documents: Ints
    words: Ints
    bytes: Ints

    def __len__(self) -> int:
        return len(self.targets)

    @property
    def tokens(self) -> Ints:
        """Tokens of each target, int [R]."""
        return np.array([len(target) for target in self.targets], np.int64)

    def only(self, chosen: Ints) -> EvalWindows:
        """Some of them, in the order given."""
        return replace(
            self,
            prompts=tuple(self.prompts[row] for row in chosen),
            targets=tuple(self.targets[row] for row in chosen),
            documents=self.documents[chosen],
            words=self.words[chosen],
            bytes=self.bytes[chosen],
        )


def draw_windows(
    documents: Iterable[Document],
    tokenizer: Tokenizer,
    rng: np.random.Generator,
    length: int = 128,
    max_tokens: int = 40_000,
) -> EvalWindows:
    """Cut documents so that a prompt and its continuation fill `length` tokens; draw `max_tokens` worth of them.

    Raises ValueError where no document is longer than a prompt.
    """
    size = (length - AROUND) // 2
    cut = cut_windows(list(documents), tokenizer, size)
    if not len(cut):
        raise ValueError(
            f"perplexity: no held-out document has more than {size} tokens; lower `context` or hold out more"
        )
    return cut.only(np.sort(rng.permutation(len(cut))[: max(1, max_tokens // size)]))


def cut_windows(documents: list[Document], tokenizer: Tokenizer, size: int) -> EvalWindows:
    """Every stretch of `size` tokens that has one before it in its document, and the shorter last ones."""
    prompts, targets, of, words, sizes = [], [], [], [], []
    for number, document in enumerate(documents):
        encoded = tokenizer.encode([document.text])
        words_C, bytes_C = _measures(document.text)
        # A token answers for the text up to where the next one starts, so that nothing is left out or counted twice.
        starts = np.append(encoded.starts, len(document.text))
        for start in range(size, len(encoded.tokens), size):
            stop = min(start + size, len(encoded.tokens))
            prompts.append(encoded.tokens[start - size : start])
            targets.append(encoded.tokens[start:stop])
            of.append(number)
            words.append(words_C[starts[stop]] - words_C[starts[start]])
            sizes.append(bytes_C[starts[stop]] - bytes_C[starts[start]])
    counts = (np.array(values, np.int64) for values in (of, words, sizes))
    return EvalWindows(tuple(prompts), tuple(targets), *counts)


def _measures(text: str) -> tuple[Ints, Ints]:
    """Words that have begun, and bytes, before each character of a text and at its end: int [characters + 1]."""
    codes_C = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
    bytes_C = 1 + (codes_C >= 0x80) + (codes_C >= 0x800) + (codes_C >= 0x10000)
    space_C = np.fromiter((letter.isspace() for letter in text), np.bool_, len(text))
    begins_C = ~space_C & np.append(True, space_C[:-1])[: len(space_C)]
    return np.append(0, np.cumsum(begins_C)), np.append(0, np.cumsum(bytes_C))


def losses(scorer: LMScorer, windows: EvalWindows, tick: Callable[[int], None] = lambda _: None) -> Floats:
    """Nats of each target given its prompt, float [R]."""
    scorer.model.eval()
    found = np.zeros(len(windows))
    for start in range(0, len(windows), ROWS):
        rows = slice(start, min(start + ROWS, len(windows)))
        targets = windows.targets[rows]
        likelihoods_NU = scorer.log_likelihoods(windows.prompts[rows], range(len(targets)), targets)
        found[rows] = -likelihoods_NU.sum(1)
        tick(len(targets))
    return found


def summarise(losses_R: Floats, windows: EvalWindows, seed: int) -> dict[str, Any]:
    """`token_perplexity`, `word_perplexity` (e to the nats per token, per word) and `bits_per_byte`.

    Each `{value, low, high, cases, clusters}`, the interval resampling documents.
    """
    bits = _estimate(losses_R / np.log(2), windows.bytes, windows, seed)
    return {
        "token_perplexity": _raised(_estimate(losses_R, windows.tokens, windows, seed)).as_json(),
        "word_perplexity": _raised(_estimate(losses_R, windows.words, windows, seed)).as_json(),
        "bits_per_byte": bits.as_json(),
    }


def compare(first_R: Floats, second_R: Floats, windows: EvalWindows, seed: int) -> dict[str, Any]:
    """The paired difference first − second in `bits_per_byte`; perplexities are no means, and have none."""
    bits = _estimate((first_R - second_R) / np.log(2), windows.bytes, windows, seed)
    return {"bits_per_byte": bits.as_json()}


def unigram_losses(windows: EvalWindows, counts_V: Ints) -> Floats:
    """Nats of each target where every token has its frequency in the training text (plus one): float [R]."""
    smoothed_V = counts_V + 1.0
    losses_V = -np.log(smoothed_V / smoothed_V.sum())
    return np.array([losses_V[target].sum() for target in windows.targets])


def _estimate(values_R: Floats, amounts_R: Ints, windows: EvalWindows, seed: int) -> Estimate:
    return clustered_ratio(values_R, amounts_R, windows.documents, np.random.default_rng(seed))


def _raised(found: Estimate) -> Estimate:
    """Nats per unit as a perplexity."""
    ends: Mapping[str, float | None] = {
        name: None if (value := getattr(found, name)) is None else float(np.exp(value))
        for name in ("value", "low", "high")
    }
    return replace(found, **ends)  # type: ignore[arg-type]
