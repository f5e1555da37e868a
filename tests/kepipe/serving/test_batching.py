"""Waiting requests are batched; each gets its own answer, whatever happens to the others."""

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
    """The model is busy with a first request, so that later ones have to wait."""
    asking.submit(["first"], {})
    echo.started.wait()


def test_waiting_requests_with_equal_parameters_are_batched() -> None:
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
    assert echo.requests[1:] == [(["ab", "c", "ef", ""], {}), (["d"], {"top": 2})]
    asking.close()


def test_invalid_text_fails_only_its_own_request() -> None:
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


def test_queue_is_bounded_and_cancelled_requests_are_skipped() -> None:
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
    assert [texts for texts, _ in echo.requests[1:]] == [["a", "b"]]
    with pytest.raises(BusyError):
        asking.submit(["e"], {})


@given(st.lists(st.lists(st.text("xy", max_size=3), min_size=1, max_size=70), min_size=1, max_size=12))
@settings(max_examples=30, deadline=None)
def test_each_request_gets_its_own_answer(questions: list[list[str]]) -> None:
    echo = Echo()
    asking = batcher(echo, waiting=10_000)
    held(echo, asking)
    answers = [asking.submit(texts, {}) for texts in questions]
    echo.gate.set()
    assert [answer.result().rows for answer in answers] == [rows(*texts) for texts in questions]
    together = [texts for texts, _ in echo.requests[1:]]
    assert all(len(texts) <= MAX_BATCH_TEXTS or texts in questions for texts in together)
    asking.close()
