"""UniLM's settings by themselves."""

from __future__ import annotations

import pytest

from kepipe.objectives.unilm import UniLM


@pytest.mark.parametrize(
    ("kind", "given", "advice"),
    [("segments", True, "mode_segments: false"), ("segments", False, None), ("other", True, None)],
)
def test_segments_are_done_without_where_modes_have_their_own(
    kind: str, given: bool, advice: str | None
) -> None:
    assert UniLM(mode_segments=given).without(kind) == advice
