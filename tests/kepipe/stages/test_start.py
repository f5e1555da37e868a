"""What a training stage starts from, and what it is told of knowledge that nobody reads."""

from __future__ import annotations

from pathlib import Path

import pytest
from kepipe.stages.start import tell_unused

from kepipe.knowledge.kbert.settings import Inject
from kepipe.stages.artifacts import Vectors
from tests.support.toy_training import Ear, context_in


@pytest.mark.parametrize(
    ("given", "inject", "told"),
    [
        (True, None, True),
        (True, Inject(choice="rarest"), True),
        (True, Inject(choice="plausible"), False),
        (False, None, False),
    ],
)
def test_vectors_that_a_plain_model_cannot_read_are_told(
    tmp_path: Path, given: bool, inject: Inject | None, told: bool
) -> None:
    ear = Ear()
    tell_unused(Vectors(tmp_path, "", name="embed") if given else None, inject, context_in(tmp_path, ear))
    assert ("the vectors of `embed` are not used" in ear.notes()) == told
