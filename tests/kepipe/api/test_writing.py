"""Decoding settings: incompatible ones are an error before a model is read."""

from __future__ import annotations

from typing import Any

import pytest

from kepipe.api.writing import Decoding


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"limit": 0}, "1 or more"),
        ({"temperature": 0.0}, "temperature 0: expected above 0"),
        ({"top_p": 0.0}, "top-p 0: expected above 0 and at most 1"),
        ({"top_p": 1.5}, "top-p 1.5: expected above 0 and at most 1"),
        ({"beams": 2, "top_k": 3}, "beam search does not sample"),
        ({"beams": 2, "count": 3}, "a beam of size 2 finds 2 texts, not 3"),
        ({"count": 2}, "greedy decoding gives one text"),
    ],
)
def test_incompatible_settings_are_an_error(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Decoding(**given)


def test_which_settings_sample() -> None:
    assert not Decoding().draws
    assert not Decoding(beams=3, count=3).draws
    for drawn in ({"temperature": 1.0}, {"top_k": 1}, {"top_p": 0.5}):
        assert Decoding(**drawn, count=2).draws  # type: ignore[arg-type]
