"""Text from a model that tells its next token, whatever it is made of: token by token, as they are chosen or drawn."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from kepipe.arrays import Floats, Ints
from kepipe.models.protocols import NextTokenModel

Pick = Callable[[Floats], Ints]
"""ln p of V tokens after each of B texts, float [B, V] → a token each, int [B]."""


def go_on(model: NextTokenModel, prompts: Sequence[Ints], limit: int, pick: Pick) -> list[Ints]:
    """What follows each text, as `pick` chooses it: int [≤ limit], without the end token."""
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


def likeliest(log_probabilities_BV: Floats) -> Ints:
    """The likeliest token of each text."""
    found: Ints = log_probabilities_BV.argmax(1)
    return found
