"""Word label output: labels are decoded independently, or as valid sequences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from kepipe.arrays import Bools, Floats, Ints
from kepipe.finetuning.conll import OUTSIDE
from kepipe.finetuning.examples import Example
from kepipe.finetuning.label_output import LabelOutput
from kepipe.finetuning.output import AnswerFormat, LossSettings
from kepipe.finetuning.rows import Row
from kepipe.finetuning.sequence_decoding import (
    Transitions,
    as_valid_bio,
    likeliest_sequence,
    marginals,
    rules,
)
from kepipe.finetuning.windows import merge_word_values

if TYPE_CHECKING:
    from kepipe.finetuning.heads import LabelHead
    from kepipe.finetuning.task_model import TaskModel
    from kepipe.models.protocols import TrainableEncoder
    from kepipe.training.criterion import Criterion


class TagAnswer(NamedTuple):
    """Probabilities of the words up to the last one read, float [W, L], NaN for words that were not read, and the label
    index of each, int [W], −1 for these."""

    probabilities: Floats
    labels: Ints


@dataclass(frozen=True)
class TagOutput(LabelOutput):
    """A `TaskOutput` for words; the answer to an example is a `TagAnswer`."""

    def encode(self, rows: Sequence[Row], examples: Sequence[Example], answers: AnswerFormat) -> list[Row]:
        """See `LabelOutput`. For `valid` and `crf` decoding, labels are converted to valid sequences."""
        if answers.decoding != "independent":
            examples = [
                e if e.labels is None else replace(e, labels=tuple(as_valid_bio(e.labels))) for e in examples
            ]
        return super().encode(rows, examples, answers)

    def head(
        self, model: TrainableEncoder, answers: AnswerFormat, *, dropout: float = 0.0, seed: int = 0
    ) -> LabelHead:
        """A linear layer, or a CRF."""
        if answers.decoding != "crf":
            return super().head(model, answers, dropout=dropout, seed=seed)
        from kepipe.finetuning.crf import CrfHead
        from kepipe.finetuning.heads import initialise

        return initialise(CrfHead(model.hidden_size, answers.labels, dropout=dropout), seed)

    def criterion(self, answers: AnswerFormat, loss: LossSettings) -> Criterion:
        """The mean over words."""
        if answers.decoding != "crf":
            return super().criterion(answers, loss)
        from kepipe.finetuning.crf import CrfCriterion

        return CrfCriterion()

    def merge(
        self,
        model: TaskModel[TrainableEncoder],
        parts: Sequence[Floats],
        rows: Sequence[Row],
        answers: AnswerFormat,
    ) -> TagAnswer:
        """The labels of an example's words."""
        transitions = self._transitions(model, answers)
        if transitions is None:
            return tagged(self.merge_probabilities(parts, rows, answers))
        logits_WL = merge_word_values(parts, rows)
        read_W: Bools = np.asarray(~np.isnan(logits_WL).any(axis=1))
        scores_WL = np.where(read_W[:, None], logits_WL, _outside(answers.labels))
        probable_WL = np.where(read_W[:, None], marginals(scores_WL, transitions), np.nan)
        return TagAnswer(probable_WL, np.where(read_W, likeliest_sequence(scores_WL, transitions), -1))

    def _transitions(self, model: TaskModel[TrainableEncoder], answers: AnswerFormat) -> Transitions | None:
        if answers.decoding == "independent":
            return None
        if answers.decoding == "valid":
            return rules(answers.labels)
        from kepipe.finetuning.crf import CrfHead

        assert isinstance(model.head, CrfHead)
        return model.head.transitions()


def tagged(probable_WL: Floats) -> TagAnswer:
    """The most probable label of each word, independently."""
    read_W = ~np.isnan(probable_WL).any(axis=1)
    return TagAnswer(probable_WL, np.where(read_W, np.nan_to_num(probable_WL).argmax(axis=1), -1))


def _outside(labels: Sequence[str]) -> Floats:
    """Scores of a word that was not read: O, if there is such a label."""
    if OUTSIDE not in labels:
        return np.zeros(len(labels))
    return np.where(np.array(labels) == OUTSIDE, 0.0, -1e3)


WORDS = TagOutput("one")
