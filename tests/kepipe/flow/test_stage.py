"""A stage's inputs, read from the annotations of its dataclass."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from kepipe.config import Section
from kepipe.flow.stage import Slot, Stage
from tests.support.flow import Number


@dataclass(frozen=True)
class Inputs:
    """One input of each kind."""

    number: Number
    addends: tuple[Number, ...]
    factors: tuple[Number, ...] = ()
    start: Number | None = None


@dataclass(frozen=True)
class Texts:
    """No artifact."""

    text: str


def test_input_annotations_define_required_optional_and_several() -> None:
    stage = Stage("sum", 1, Inputs, Section, Number, lambda *_: None)
    assert stage.slots() == {
        "number": Slot(Number, several=False, optional=False, if_available=False),
        "addends": Slot(Number, several=True, optional=False, if_available=False),
        "factors": Slot(Number, several=True, optional=False, if_available=True),
        "start": Slot(Number, several=False, optional=True, if_available=False),
    }


def test_input_that_is_no_artifact_is_a_type_error() -> None:
    stage = Stage("read", 1, Texts, Section, Number, lambda *_: None)
    with pytest.raises(TypeError, match="stage read: input text must be an Artifact"):
        stage.slots()
