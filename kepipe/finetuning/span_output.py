"""Span output: start and end of the answer in the second text (Devlin et al. 2019, §4.2–4.3).

"No answer" is the span of the row's token ([CLS] or the last), which is also the target of windows without the answer.
Span scores are compared over all windows of a text.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from kepipe.arrays import Floats, Ints
from kepipe.finetuning.examples import Example
from kepipe.finetuning.output import AnswerFormat, LossSettings
from kepipe.finetuning.rows import Row
from kepipe.finetuning.splits import Splits

if TYPE_CHECKING:
    from kepipe.data.batch import Batch
    from kepipe.finetuning.span_head import SpanCriterion, SpanHead
    from kepipe.finetuning.task_model import TaskModel
    from kepipe.models.protocols import TrainableEncoder

LONGEST = 30
"""The most tokens of an answer, as in BERT's code."""
NO_ANSWER = "no answer"


class SpanScores(NamedTuple):
    """Of a row: the best span as indices of read tokens (1 is the first token of the text); its score; ln Σ e^score
    over all spans; the score of no answer. If the text has no token, first and last are 0."""

    first: int
    last: int
    score: float
    log_total: float
    null: float


class SpanAnswer(NamedTuple):
    """Characters start … end − 1 of the second text (0, 0: no answer), the probability of the answer, and the margin
    of the best span's score over that of no answer."""

    start: int
    end: int
    probability: float
    margin: float


Quality = Callable[[str, Sequence[str]], float]
"""(answer, gold answers) → quality from 0 to 1."""


@dataclass(frozen=True)
class SpanOutput:
    """A `TaskOutput`; the answer to a row is `SpanScores`, to an example a `SpanAnswer`. The labels tell whether
    questions may have no answer. `quality`: the metric that the bias of no answer is fitted to."""

    quality: Quality

    def labels(self, splits: Splits) -> tuple[str, ...]:
        """The labels of the training data. Raises ValueError if no question has an answer."""
        answered = [bool(example.gold) for example in splits["train"]]
        if not any(answered):
            raise ValueError("no question of the training data has an answer: there is nothing to learn")
        return ("answer",) if all(answered) else ("answer", NO_ANSWER)

    def encode(self, rows: Sequence[Row], examples: Sequence[Example], answers: AnswerFormat) -> list[Row]:  # noqa: ARG002
        """Start and end of the first gold answer as indices of read tokens; 0, 0 if the row has no answer."""
        return [
            row if example.labels is None else replace(row, labels=_span_of(row, example))
            for row, example in zip(rows, examples, strict=True)
        ]

    def collate(self, batch: Batch, rows: Sequence[Row], answers: AnswerFormat) -> Batch:  # noqa: ARG002
        """Adds `extra["read"]`, the column of each read token, int [B, R] (−1: cut off, or padding), and labels [B,
        2]."""
        import torch

        from kepipe.finetuning.read_positions import current_read_positions
        from kepipe.finetuning.span_head import CUT_OFF

        of_N, places_N = current_read_positions(batch, rows)
        counts_B = np.bincount(of_N, minlength=len(rows))
        read_BR = np.full((len(rows), counts_B.max()), -1)
        read_BR[np.arange(read_BR.shape[1]) < counts_B[:, None]] = places_N
        batch = replace(batch, extra={**batch.extra, "read": torch.from_numpy(read_BR)})
        given = [row.labels for row in rows if row.labels is not None]
        if len(given) < len(rows):
            return batch
        labels_B2 = np.array(given, np.int64)
        labels_B2[(np.take_along_axis(read_BR, labels_B2, axis=1) < 0).any(axis=1)] = CUT_OFF
        return replace(batch, labels=torch.from_numpy(labels_B2))

    def head(
        self,
        model: TrainableEncoder,
        answers: AnswerFormat,  # noqa: ARG002
        *,
        dropout: float = 0.0,
        seed: int = 0,
    ) -> SpanHead:
        """A linear layer over every token."""
        from kepipe.finetuning.heads import initialise
        from kepipe.finetuning.span_head import SpanHead

        return initialise(SpanHead(model.hidden_size, dropout=dropout), seed)

    def criterion(self, answers: AnswerFormat, loss: LossSettings) -> SpanCriterion:  # noqa: ARG002
        """The loss of start and end tokens."""
        from kepipe.finetuning.span_head import SpanCriterion

        return SpanCriterion()

    def answers(
        self,
        model: TaskModel[TrainableEncoder],
        batch: Batch,
        answers: AnswerFormat,  # noqa: ARG002
    ) -> list[SpanScores]:
        """The best span of each row."""
        logits_BR2, there_BR = model(batch).cpu().double().numpy(), batch.extra["read"].cpu().numpy() >= 0
        return [
            best_span(logits_R2, there_R) for logits_R2, there_R in zip(logits_BR2, there_BR, strict=True)
        ]

    def merge(
        self,
        model: TaskModel[TrainableEncoder],
        parts: Sequence[SpanScores],
        rows: Sequence[Row],
        answers: AnswerFormat,
    ) -> SpanAnswer:
        """The best span of all windows. The score of no answer is the lowest over the windows."""
        from kepipe.finetuning.span_head import SpanHead

        assert isinstance(model.head, SpanHead)
        bias = float(model.head.null_bias) if NO_ANSWER in answers.labels else -np.inf
        best, row = max(zip(parts, rows, strict=True), key=lambda pair: pair[0].score)
        null = min(part.null for part in parts) + bias
        total = float(np.logaddexp.reduce([null, *(part.log_total for part in parts)]))
        margin = best.score - null
        if best.first == 0 or margin < 0:
            return SpanAnswer(0, 0, float(np.exp(null - total)), margin)
        return SpanAnswer(*_characters(best, row), float(np.exp(best.score - total)), margin)

    def calibrate(
        self,
        model: TaskModel[TrainableEncoder],
        parts: Sequence[Sequence[SpanScores]],
        rows: Sequence[Sequence[Row]],
        examples: Sequence[Example],
        answers: AnswerFormat,  # noqa: ARG002
    ) -> dict[str, float]:
        """See `Calibrates`: fits the bias of no answer that maximises the quality of the answers, like the threshold
        search of SQuAD's script."""
        import torch

        from kepipe.finetuning.span_head import SpanHead

        assert isinstance(model.head, SpanHead)
        margins, gains = [], []
        for part, its_rows, example in zip(parts, rows, examples, strict=True):
            best, row = max(zip(part, its_rows, strict=True), key=lambda pair: pair[0].score)
            start, end = _characters(best, row)
            margins.append(best.score - min(one.null for one in part))
            answered = self.quality(example.second[start:end], example.gold)
            gains.append(answered - self.quality("", example.gold))
        bias = best_threshold(np.array(margins), np.array(gains))
        with torch.no_grad():
            model.head.null_bias.fill_(bias)
        return {"null_bias": bias}


def best_span(logits_R2: Floats, there_R: Ints) -> SpanScores:
    """The span of at most `LONGEST` valid tokens with the highest sum of start and end logit; index 0 is no answer.
    `there_R`: whether each read token is valid."""
    null = float(logits_R2[0].sum())
    first_R, last_R = np.where(there_R[1:, None], logits_R2[1:], -np.inf).T
    if not there_R[1:].any():
        return SpanScores(0, 0, -np.inf, -np.inf, null)
    width = min(LONGEST, len(first_R))
    padded = np.concatenate([last_R, np.full(width - 1, -np.inf)])
    scores_RW = first_R[:, None] + np.lib.stride_tricks.sliding_window_view(padded, width)
    first, size = np.unravel_index(int(scores_RW.argmax()), scores_RW.shape)
    highest = float(scores_RW[first, size])
    log_total = highest + float(np.log(np.exp(scores_RW - highest).sum()))
    return SpanScores(int(first) + 1, int(first + size) + 1, highest, log_total, null)


def best_threshold(margins_N: Floats, gains_N: Floats) -> float:
    """The least margin at which to answer that maximises the sum of gains."""
    order = np.argsort(-margins_N, kind="stable")
    sums = np.concatenate([[0.0], np.cumsum(gains_N[order])])
    taken = int(sums.argmax())
    ranked = margins_N[order]
    if taken == 0:
        return float(ranked[0]) + 1.0
    return float(ranked[taken - 1] + ranked[taken]) / 2 if taken < len(ranked) else float(ranked[-1]) - 1.0


def _characters(best: SpanScores, row: Row) -> tuple[int, int]:
    """Start and stop offsets of a row's best span; 0, 0 if it has none."""
    if best.first == 0 or row.characters is None:
        return 0, 0
    return int(row.characters[best.first - 1, 0]), int(row.characters[best.last - 1, 1])


def _span_of(row: Row, example: Example) -> tuple[int, int]:
    """Indices of the first and last read token of the first gold answer that lies entirely in the row; 0, 0 if none."""
    characters = row.characters
    if characters is None or not len(characters):
        return 0, 0
    for answer in example.answers:
        touched = np.flatnonzero((characters[:, 1] > answer.start) & (characters[:, 0] < answer.end))
        has_answer = characters[0, 0] <= answer.start and characters[-1, 1] >= answer.end
        if len(touched) and has_answer:
            return int(touched[0]) + 1, int(touched[-1]) + 1
    return 0, 0
