"""UniLM's settings."""

from __future__ import annotations

import pytest

from kepipe.objectives.unilm import UniLM


@pytest.mark.parametrize(
    ("kind", "given", "advice"),
    [("segments", True, "mode_segments: false"), ("segments", False, None), ("other", True, None)],
)
def test_unilm_without_segments_advises_mode_segments_false(
    kind: str, given: bool, advice: str | None
) -> None:
    assert UniLM(mode_segments=given).without(kind) == advice
