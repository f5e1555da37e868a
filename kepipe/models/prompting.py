"""Scoring and generation with a language model of any kind, with prompts that may be trees; unknown tokens."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kepipe.arrays import Bools, Floats, Ints
from kepipe.models.generation import PromptTree
from kepipe.models.lm_scorer import LMScorer
from kepipe.models.protocols import LanguageModel, OwnVocabulary, TextGenerator

PromptTokens = Ints | PromptTree
"""A prompt: a sequence of tokens, int [T], or a tree."""
AROUND = 4
"""Maximum number of special tokens around a prompt and its continuation."""


def size(prompt: PromptTokens) -> int:
    """Number of tokens of a prompt, including facts."""
    return len(prompt.tokens if isinstance(prompt, PromptTree) else prompt)


def log_likelihoods(
    model: LanguageModel, prompts: Sequence[PromptTokens], rows: Sequence[int], targets: Sequence[Ints]
) -> Floats:
    """See `LanguageModel.log_likelihoods`. Raises ValueError for trees if the model cannot read them."""
    if isinstance(model, LMScorer):
        return model.log_likelihoods(prompts, rows, targets)
    return model.log_likelihoods(_flat(prompts), rows, targets)


def generate(model: TextGenerator, prompts: Sequence[PromptTokens], *, limit: int) -> list[Ints]:
    """See `TextGenerator.generate`. Raises ValueError for trees if the model cannot read them."""
    if isinstance(model, LMScorer):
        return model.generate(prompts, limit=limit)
    return model.generate(_flat(prompts), limit=limit)


def _flat(prompts: Sequence[PromptTokens]) -> list[Ints]:
    flat = [prompt for prompt in prompts if not isinstance(prompt, PromptTree)]
    if len(flat) < len(prompts):
        raise ValueError("this model reads tokens in sequence and does not support trees")
    return flat


def unknown(model: LanguageModel, tokens_T: Ints) -> Bools:
    """Which tokens are unknown to the model, bool [T]: by its own vocabulary if it has one, else the tokenizer's
    unknown token."""
    if isinstance(model, OwnVocabulary):
        return model.unknown(tokens_T)
    if "unk" not in model.tokenizer.named:
        return np.zeros(len(tokens_T), np.bool_)
    found: Bools = tokens_T == model.tokenizer.role("unk")
    return found
