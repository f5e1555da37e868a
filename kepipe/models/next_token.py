"""Generation from any model that gives the distribution of the next token: greedy, or by sampling."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from kepipe.arrays import Floats, Ints
from kepipe.models.protocols import NextTokenModel

Pick = Callable[[Floats], Ints]
"""ln p of the next token, float [B, V] → a token for each text, int [B]."""


def continue_texts(model: NextTokenModel, prompts: Sequence[Ints], limit: int, pick: Pick) -> list[Ints]:
    """The continuation of each prompt, token by token as `pick` chooses: int [≤ limit], without the end token."""
    texts = list(prompts)
    going = list(range(len(texts)))
    for _ in range(limit):
        if not going:
            break
        picked = pick(model.log_probabilities([texts[row] for row in going])).tolist()
        still = [(row, token) for row, token in zip(going, picked, strict=True) if token != model.end]
        for row, token in still:
            texts[row] = np.append(texts[row], token)
        going = [row for row, _ in still]
    return [text[len(prompt) :] for text, prompt in zip(texts, prompts, strict=True)]


def greedy(log_probabilities_BV: Floats) -> Ints:
    """The most probable token of each text."""
    found: Ints = log_probabilities_BV.argmax(1)
    return found
