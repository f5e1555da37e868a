"""Questions that wait are asked together; each gets its own answer, whatever becomes of the others."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kepipe.serving.batching import MAX_BATCH_TEXTS, Batcher, BusyError
from kepipe.serving.served_model import LoadedVersion
from kepipe.tracking.predictors import PREDICTORS
from tests.support.serving import Echo


def batcher(echo: Echo, waiting: int = 1000) -> Batcher:
    return Batcher(lambda: LoadedVersion(echo, "7", PREDICTORS["text"]), waiting)


def rows(*texts: str) -> list[dict[str, Any]]:
    return [{"text": number, "prediction": letter} for number, text in enumerate(texts) for letter in text]


def held(echo: Echo, asking: Batcher) -> None:
    """The model works on a first question, so that what comes now has to wait."""
    asking.submit(["first"], {})
    echo.begun.wait()


def test_what_waits_is_asked_together_where_the_parameters_are_the_same() -> None:
    echo = Echo()
    asking = batcher(echo)
    held(echo, asking)
    answers = [asking.submit(texts, params) for texts, params in (
        (["ab", "c"], {}), (["d"], {"top": 2}), (["ef"], {}), ([""], {}),
    )]  # fmt: skip
    assert asking.waiting == 5
    echo.gate.set()
    found = [answer.result() for answer in answers]
    assert [answer.rows for answer in found] == [rows("ab", "c"), rows("d"), rows("ef"), []]
    assert {answer.version for answer in found} == {"7"}
    assert echo.asked[1:] == [(["ab", "c", "ef", ""], {}), (["d"], {"top": 2})]
    asking.close()


def test_a_text_that_is_refused_costs_its_own_question_alone() -> None:
    echo = Echo()
    asking = batcher(echo)
    held(echo, asking)
    good, bad, last = asking.submit(["ab"], {}), asking.submit(["bad"], {}), asking.submit(["c"], {})
    echo.gate.set()
    assert good.result().rows == rows("ab")
    with pytest.raises(ValueError, match="a bad text"):
        bad.result()
    assert last.result().rows == rows("c")
    asking.close()


def test_no_more_texts_wait_than_may_and_a_cancelled_question_is_not_asked() -> None:
    echo = Echo()
    asking = batcher(echo, waiting=3)
    held(echo, asking)
    asking.submit(["a", "b"], {})
    given_up = asking.submit(["c"], {})
    with pytest.raises(BusyError):
        asking.submit(["d"], {})
    assert given_up.cancel()
    echo.gate.set()
    asking.close()
    assert [texts for texts, _ in echo.asked[1:]] == [["a", "b"]]
    with pytest.raises(BusyError):
        asking.submit(["e"], {})


@given(st.lists(st.lists(st.text("xy", max_size=3), min_size=1, max_size=70), min_size=1, max_size=12))
@settings(max_examples=30, deadline=None)
def test_each_question_gets_its_own_answer(questions: list[list[str]]) -> None:
    echo = Echo()
    asking = batcher(echo, waiting=10_000)
    held(echo, asking)
    answers = [asking.submit(texts, {}) for texts in questions]
    echo.gate.set()
    assert [answer.result().rows for answer in answers] == [rows(*texts) for texts in questions]
    together = [texts for texts, _ in echo.asked[1:]]
    assert all(len(texts) <= MAX_BATCH_TEXTS or texts in questions for texts in together)
    asking.close()
