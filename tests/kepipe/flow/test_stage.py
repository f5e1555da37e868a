"""A stage's inputs, read from the annotations of its dataclass."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from kepipe.config import Section
from kepipe.flow.events import Event, Progressed
from kepipe.flow.stage import Planned, Slot, Stage, StageContext, memoize_along
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


def test_input_slot_is_required_and_single_by_default() -> None:
    assert Slot(Number) == Slot(Number, several=False, optional=False, if_available=False)
    stage = Stage("sum", 1, Inputs, Section, Number, lambda *_: None)
    assert stage.slots()["number"] == Slot(Number)


@pytest.mark.parametrize(("total", "counts"), [(9, [0, 1, 3, 9]), (None, [0, 1, 3, 3])])
def test_progress_counts_from_zero_and_ends_at_the_total_if_that_is_known(
    total: int | None, counts: list[int]
) -> None:
    events: list[Event] = []
    context = StageContext(Path("out"), Path("scratch"), 0, "cpu", events.append)
    with context.progress("linking", total, "documents") as tick:
        tick()
        tick(2)
    assert [event.done for event in events if isinstance(event, Progressed)] == counts


def test_function_along_a_chain_is_called_once_for_each_stage() -> None:
    """From the first stage on, also for a chain that is longer than Python's recursion limit."""
    called: list[str] = []

    @memoize_along("before")
    def depth(stage: Planned) -> int:
        called.append(stage.name)
        before = stage.input("before")
        return 0 if before is None else depth(before) + 1

    chain = Planned("s0", None, {})
    for number in range(1, 3000):
        chain = Planned(f"s{number}", None, {"before": [chain]})
    assert depth(chain) == 2999
    assert called == [f"s{number}" for number in range(3000)]
    assert depth(chain) == 2999
    following = Planned("next", None, {"before": [chain], "other": []})
    assert depth(following) == 3000
    assert len(called) == 3001
    assert following.input("other") is None


def test_planned_stages_with_the_same_settings_are_equal_and_have_the_figures_of_their_stage() -> None:
    stage = Stage("sum", 1, Inputs, Section, Number, lambda *_: None, figures=lambda planned: [planned.name])
    first, second = (Planned("total", None, {}, stage) for _ in range(2))
    memoize_along("before")(lambda _: 1)(first)
    assert first == second
    assert "_memo" not in repr(first)
    assert (first.figures, Planned("total", None, {}).figures) == (["total"], None)


def test_stage_with_other_settings_is_not_given_what_was_computed_before() -> None:
    @memoize_along("before")
    def settings(stage: Planned) -> object:
        return stage.config

    first = Planned("total", "one", {})
    assert settings(first) == "one"
    assert settings(replace(first, config="two")) == "two"
