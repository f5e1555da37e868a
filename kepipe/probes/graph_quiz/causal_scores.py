"""A language model answers the quiz: the log-likelihood of each option, and of what follows it in the statement.

What stands before the option is the prompt, which is read once for all options that follow it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from kepipe.arrays import Floats, Ints
from kepipe.probes.graph_quiz.defaults import Reduction

if TYPE_CHECKING:
    from kepipe.models.protocols import LanguageModel
    from kepipe.probes.graph_quiz.statements import TokenStatement

TARGETS = 256
"""Options that are scored together, at most."""


def log_likelihoods(
    model: LanguageModel, statements: Sequence[TokenStatement], reduction: Reduction = "sum"
) -> Floats:
    """Of the option in each of S statements, with the rest of the statement: float [S], −inf for one that cannot be
    said. A mean is over the option's tokens and the rest's."""
    scores_S = np.full(len(statements), -np.inf)
    for places in _batches(statements):
        prompts: dict[tuple[int, ...], int] = {}
        rows, targets = [], []
        for place in places:
            statement = statements[place]
            rows.append(prompts.setdefault(statement.tokens[: statement.option[0]], len(prompts)))
            targets.append(_ints(statement.tokens[statement.option[0] :]))
        scores_N = model.log_likelihoods([_ints(prompt) for prompt in prompts], rows, targets).sum(1)
        lengths_N = np.array([len(target) for target in targets])
        scores_S[places] = scores_N / lengths_N if reduction == "mean" else scores_N
    return scores_S


def _batches(statements: Sequence[TokenStatement]) -> Iterator[list[int]]:
    """Statements that can be said, in their order."""
    sayable = [place for place, statement in enumerate(statements) if statement.sayable]
    for start in range(0, len(sayable), TARGETS):
        yield sayable[start : start + TARGETS]


def _ints(tokens: tuple[int, ...]) -> Ints:
    return np.array(tokens, np.int64)
