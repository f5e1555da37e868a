"""Contextual calibration: by hand, and on an n-gram model that always answers yes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from kepipe.inference.calibration import CONTENT_FREE, calibrate, without_content
from kepipe.inference.few_shot import evaluate
from kepipe.inference.opening import open_model
from kepipe.inference.prompt_task import Question, Task
from tests.support.yes_model import write_yes_model

ASKED = (
    Question(given={"text": "good"}, answer="yes"),
    Question(given={"text": "bad"}, answer="no"),
    Question(given={"text": "bad"}, answer="a", choices=("a", "b", "c")),
)


def task() -> Task:
    return Task(
        name="t", template="{text} {answer}", choices=("yes", "no"), questions=ASKED[:2]
    ).with_choices()


def test_content_free_questions_for_each_set_of_choices() -> None:
    both = task().model_copy(update={"questions": (*task().questions, ASKED[2])})
    empty = without_content(both).questions
    assert [question.given["text"] for question in empty] == [*CONTENT_FREE, *CONTENT_FREE]
    assert [len(question.choices) for question in empty] == [2, 2, 2, 3, 3, 3]


def test_calibration_divides_by_content_free_probabilities() -> None:
    """Without content, yes has the probabilities 0.6, 0.7, 0.8: 0.7 on average."""
    empty = [np.log([share, 1 - share]) for share in (0.6, 0.7, 0.8)]
    scores = [np.log([0.65, 0.35]) + 3, np.log([0.9, 0.1])]
    one, other = calibrate(scores, task(), empty)
    assert np.exp(one) == pytest.approx([0.65 / 0.7, 0.35 / 0.3])
    assert np.exp(other) == pytest.approx([0.9 / 0.7, 0.1 / 0.3])


def test_calibration_corrects_a_model_that_always_answers_yes(tmp_path: Path) -> None:
    """p(yes) = 0.6 and p(no) = 0.3 after unknown words; after "good" 0.6 and 0.1, after "bad" 0.5 and 0.4."""
    model = open_model(write_yes_model(tmp_path)).language_model
    assert model is not None
    plain, calibrated = (
        evaluate(model, task(), (), normalise="none", calibrated=calibrated) for calibrated in (False, True)
    )
    assert plain.answers == ("yes", "yes")
    assert calibrated.answers == ("yes", "no")
    assert np.exp(calibrated.scores[1]) == pytest.approx([5 / 9 / (2 / 3), 4 / 9 / (1 / 3)], rel=1e-4)


def test_free_text_answers_are_not_calibrated(tmp_path: Path) -> None:
    model = open_model(write_yes_model(tmp_path)).language_model
    assert model is not None
    free = Task(name="t", template="{text} {answer}", questions=ASKED[:1])
    with pytest.raises(ValueError, match="calibration requires `choices`"):
        evaluate(model, free, (), calibrated=True)
    assert evaluate(model, free, (), limit=1).answers == ("yes",)
