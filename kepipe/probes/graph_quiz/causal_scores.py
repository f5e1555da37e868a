"""Quiz scores of a causal language model: the log-likelihood of each option and of the rest of its statement.

The text before the option is the prompt, which is encoded once for all options.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from kepipe.arrays import Floats, Ints
from kepipe.probes.graph_quiz.defaults import Reduction

if TYPE_CHECKING:
    from kepipe.data.batch import NamedTokens
    from kepipe.knowledge.base import Knowledge
    from kepipe.models.prompting import PromptTokens
    from kepipe.models.protocols import LanguageModel
    from kepipe.probes.graph_quiz.statements import TokenStatement

TARGETS = 256
"""Maximum number of options scored in a batch."""


def log_likelihoods(
    model: LanguageModel,
    statements: Sequence[TokenStatement],
    reduction: Reduction = "sum",
    *,
    subjects: Sequence[str] = (),
    knowledge: Knowledge | None = None,
) -> Floats:
    """The log-likelihood of the option in each of S statements, with the rest of the statement: float [S], −inf if the
    option cannot be tokenised. The mean is over the tokens of the option and the rest.

    `knowledge`: inserts facts before a prompt that mentions its statement's subject, an entity of `subjects`; None: no
    knowledge.
    """
    from kepipe.models.prompting import log_likelihoods as score

    scores_S = np.full(len(statements), -np.inf)
    for places in _batches(statements):
        prompts: dict[tuple[tuple[int, ...], NamedTokens | None], int] = {}
        rows, targets = [], []
        for place in places:
            statement = statements[place]
            named = None if knowledge is None else _named(statement, subjects[place])
            prompt = statement.tokens[: statement.option[0]], named
            rows.append(prompts.setdefault(prompt, len(prompts)))
            targets.append(_ints(statement.tokens[statement.option[0] :]))
        asked = _prompts([*prompts], knowledge, max(map(len, targets)), model.tokenizer.pad)
        scores_N = score(model, asked, rows, targets).sum(1)
        lengths_N = np.array([len(target) for target in targets])
        scores_S[places] = scores_N / lengths_N if reduction == "mean" else scores_N
    return scores_S


def _named(statement: TokenStatement, subject: str) -> NamedTokens | None:
    """The mention of the subject in the statement's prompt; None if it follows the option."""
    first, stop = statement.subject
    return (first, stop, subject) if first < stop <= statement.option[0] else None


def _prompts(
    prompts: Sequence[tuple[tuple[int, ...], NamedTokens | None]],
    knowledge: Knowledge | None,
    room: int,
    pad: int,
) -> Sequence[PromptTokens]:
    """The prompts with knowledge applied."""
    from kepipe.inference.prompt_facts import with_facts

    tokens = [_ints(prompt) for prompt, _ in prompts]
    if knowledge is None:
        return tokens
    return with_facts(
        knowledge, tokens, [[] if named is None else [named] for _, named in prompts], room, pad
    )


def _batches(statements: Sequence[TokenStatement]) -> Iterator[list[int]]:
    """Batches of statements whose option can be tokenised, in their order."""
    sayable = [place for place, statement in enumerate(statements) if statement.sayable]
    for start in range(0, len(sayable), TARGETS):
        yield sayable[start : start + TARGETS]


def _ints(tokens: tuple[int, ...]) -> Ints:
    return np.array(tokens, np.int64)
