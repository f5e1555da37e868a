"""Quiz scores of a masked language model: the pseudo-log-likelihood of each option's tokens in its statement.

Token k of an option is predicted at a mask, with the later tokens of its word masked as well (within-word
left-to-right, Kauf & Ivanova 2023, so that the rest of a word does not reveal its beginning). Many options share masked
rows: the first tokens of all one-word options of L tokens are predicted from the same row with L masks. Such rows pass
through the model once.

Log-probabilities are not positive, so an option whose first tokens already score less than the whole true option cannot
be chosen or change the true option's rank: its other tokens are not scored.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import torch

from kepipe.arrays import Floats, ShardEntities, pad, padded_batches
from kepipe.data.batch import Batch, Mentions
from kepipe.probes.given_knowledge import with_knowledge
from kepipe.probes.graph_quiz.defaults import Reduction

if TYPE_CHECKING:
    from kepipe.knowledge.base import Knowledge
    from kepipe.models.protocols import MaskedLanguageModel
    from kepipe.probes.graph_quiz.statements import TokenStatement
    from kepipe.tokenization.tokenizer import Tokenizer

TOKENS = 2048
"""Maximum number of tokens in a batch."""
ROUNDING = 0.1
"""A statement is given up only if it is below the true one by more than this (nats): bf16 may round by as much."""


@dataclass
class Row:
    """Tokens with masks, the first of which is at `place`, and what is predicted there: indices of statements and of
    their tokens.

    `subject`: first token, stop and number of the subject's mention.
    """

    tokens: tuple[int, ...]
    place: int
    subject: tuple[int, int, int]
    statements: list[int] = field(default_factory=list)
    labels: list[int] = field(default_factory=list)


@torch.inference_mode()
def pseudo_log_likelihoods(
    model: MaskedLanguageModel,
    statements: Sequence[TokenStatement],
    subjects: Sequence[int],
    ids: Sequence[str],
    *,
    truths: Sequence[int] | None = None,
    reduction: Reduction = "sum",
    knowledge: Knowledge | None = None,
) -> Floats:
    """The pseudo-log-likelihood of the option in each of S statements: float [S], −inf if the option cannot be
    tokenised.

    `subjects`: the index of each statement's subject in `ids`. `truths`: for each statement, the index of the true one
    of its question; a statement that cannot reach the true one's score gets a number that its own score does not exceed
    and that is below the true one's. None: all scores are exact. `knowledge`: the model's knowledge, applied to the
    subject's mention; None: no knowledge.
    """
    options = [statement.option for statement in statements]
    lengths_S = np.array([stop - first for first, stop in options])
    numbers_S = np.arange(len(statements))
    truths_S = numbers_S if truths is None else np.asarray(truths)
    scores_S = np.zeros(len(statements))
    token, stops_S = 0, np.where(truths_S == numbers_S, lengths_S, np.minimum(lengths_S, 1))
    tokens = [range(stop) for stop in stops_S.tolist()]
    while any(tokens):
        for part in _batches(distinct_rows(statements, subjects, model.tokenizer, tokens)):
            _add_scores(scores_S, model, part, ids, knowledge)
        token, bounds_S = token + 1, reduced(scores_S, options, reduction)
        open_S = (bounds_S >= bounds_S[truths_S] - ROUNDING) & (truths_S != numbers_S) & (lengths_S > token)
        tokens = [range(token, token + is_open) for is_open in open_S.tolist()]
    return reduced(scores_S, options, reduction)


def _add_scores(
    scores_S: Floats,
    model: MaskedLanguageModel,
    rows: Sequence[Row],
    ids: Sequence[str],
    knowledge: Knowledge | None,
) -> None:
    """Add the log-probability of each label of the rows to the score of its statement."""
    batch = _batch(rows, model.tokenizer)
    if knowledge is not None:
        batch = with_knowledge(batch, _mentions(rows, ids), knowledge)
    logp_BV = model.masked_logits(batch).log_softmax(-1)
    counts = torch.tensor([len(row.labels) for row in rows])
    row_N = torch.repeat_interleave(torch.arange(len(rows)), counts).to(logp_BV.device)
    label_N = torch.tensor([label for row in rows for label in row.labels], device=logp_BV.device)
    logp_N = logp_BV[row_N, label_N]
    np.add.at(scores_S, [s for row in rows for s in row.statements], logp_N.cpu().double().numpy())


def reduced(scores_S: Floats, options: Sequence[tuple[int, int]], reduction: Reduction) -> Floats:
    """Sums or means over the tokens of each option; −inf for an option without tokens."""
    lengths_S = np.array([stop - first for first, stop in options])
    divided: Floats = scores_S / np.maximum(lengths_S, 1) if reduction == "mean" else scores_S
    return np.where(lengths_S > 0, divided, -np.inf)


def distinct_rows(
    statements: Sequence[TokenStatement],
    subjects: Sequence[int],
    tokenizer: Tokenizer,
    tokens: Sequence[range] | None = None,
) -> list[Row]:
    """The distinct masked rows of the statements, including special tokens; one per subject.

    `tokens`: which tokens of each option are predicted; None: all.
    """
    mask, begin, end = tokenizer.mask, tokenizer.cls, tokenizer.sep
    rows: dict[tuple[int, tuple[int, ...]], Row] = {}
    for number, (statement, subject) in enumerate(zip(statements, subjects, strict=True)):
        first, stop = statement.option
        asked = range(stop - first) if tokens is None else tokens[number]
        if not asked:
            continue
        row_T = (begin, *statement.tokens, end)
        for token in asked:
            place, word_end = first + 1 + token, statement.words[token] + 1
            masked = row_T[:place] + (mask,) * (word_end - place) + row_T[word_end:]
            row = rows.get((subject, masked))
            if row is None:
                mention = (statement.subject[0] + 1, statement.subject[1] + 1, subject)
                row = rows[subject, masked] = Row(masked, place, mention)
            row.statements.append(number)
            row.labels.append(row_T[place])
    return list(rows.values())


def _batches(rows: Sequence[Row]) -> Iterator[list[Row]]:
    """Batches of rows of similar length; padded, they have at most `TOKENS` tokens. A longer row is its own batch."""
    by_length = sorted(rows, key=lambda row: len(row.tokens))
    for part in padded_batches([len(row.tokens) for row in by_length], TOKENS):
        yield by_length[part]


def _batch(rows: Sequence[Row], tokenizer: Tokenizer) -> Batch:
    lengths_B = np.array([len(row.tokens) for row in rows])
    tokens_N = np.array([token for row in rows for token in row.tokens], np.int64)
    tokens_BT = pad(tokens_N, lengths_B, tokenizer.pad)
    places_B = np.array([row.place for row in rows])
    inside_BT = np.arange(tokens_BT.shape[1]) < lengths_B[:, None]
    return Batch(
        tokens=torch.from_numpy(tokens_BT),
        documents=torch.from_numpy(inside_BT.astype(np.int64)),
        segments=torch.zeros(tokens_BT.shape, dtype=torch.long),
        label_positions=torch.from_numpy(np.arange(len(rows)) * tokens_BT.shape[1] + places_B),
    )


def _mentions(rows: Sequence[Row], ids: Sequence[str]) -> Mentions:
    """The subjects' mentions in the batch of these rows; a subject without tokens has none."""
    first, stop, numbers = np.array([row.subject for row in rows], np.int64).T
    with_subject = np.flatnonzero(stop > first)
    return Mentions(
        with_subject, first[with_subject], stop[with_subject], ShardEntities(numbers[with_subject]), ids
    )
