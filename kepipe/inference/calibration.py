"""Contextual calibration (Zhao et al. 2021, "Calibrate Before Use", §5): corrects answers for the bias of the prompt,
as measured with content-free questions."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kepipe.arrays import Floats
from kepipe.inference.prompt_task import Question, Task

CONTENT_FREE = ("N/A", "[MASK]", "")
"""Content-free inputs; as in the paper, the mean over these three is used."""


def without_content(task: Task) -> Task:
    """The task with content-free questions: one per element of `CONTENT_FREE` and per distinct set of choices."""
    first = {question.choices: question for question in task.questions}
    asked = tuple(_emptied(question, text) for question in first.values() for text in CONTENT_FREE)
    return task.model_copy(update={"questions": asked})


def _emptied(question: Question, text: str) -> Question:
    given = dict.fromkeys(question.given, text)
    return question.model_copy(update={"question": text, "given": given})


def calibrate(scores: Sequence[Floats], task: Task, content_free: Sequence[Floats]) -> list[Floats]:
    """Subtract from the scores of each question's K choices, float [K] each, the scores of the choices without content.

    `content_free`: the scores of the questions of `without_content(task)`. With p the softmax over a question's choices
    and p_cf the mean of those without content, the scores are ln p − ln p_cf: the paper's W = diag(p_cf)⁻¹ and b = 0,
    where the choice with the largest W p is the same.
    """
    choices = list(dict.fromkeys(question.choices for question in task.questions))
    count = len(CONTENT_FREE)
    prior = {
        names: np.mean([np.exp(_log_shares(these)) for these in content_free[count * n : count * (n + 1)]], 0)
        for n, names in enumerate(choices)
    }
    return [
        _log_shares(scores_K) - np.log(prior[question.choices])
        for scores_K, question in zip(scores, task.questions, strict=True)
    ]


def _log_shares(scores_K: Floats) -> Floats:
    """ln of the softmax over the choices."""
    highest = scores_K.max()
    shares: Floats = scores_K - highest - np.log(np.exp(scores_K - highest).sum())
    return shares
