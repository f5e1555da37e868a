"""Ranges of `--set-range`."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kepipe.config import ConfigError, parse_value
from kepipe.tuning.ranges import Choices, Numbers, read_ranges


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("a.b=2..8", Numbers("a.b", 2, 8, integer=True)),
        ("a=-3..3", Numbers("a", -3, 3, integer=True)),
        ("a=64..256:step=64", Numbers("a", 64, 256, integer=True, step=64)),
        ("a=16..1024:log", Numbers("a", 16, 1024, integer=True, log=True)),
        ("a=0.1..0.5", Numbers("a", 0.1, 0.5, integer=False)),
        ("a=0..0.5:step=0.1", Numbers("a", 0, 0.5, integer=False, step=0.1)),
        ("a=1e-5..1e-3:log", Numbers("a", 1e-5, 1e-3, integer=False, log=True)),
        ("a=[mlm, wwm]", Choices("a", ("mlm", "wwm"))),
        ("a=[null, k-bert, {method: k-bert, choice: similar}]",
         Choices("a", ("null", "k-bert", "{method: k-bert, choice: similar}"))),
        ("a=[0.1, 1, 'no']", Choices("a", ("0.1", "1", "'no'"))),
    ],
)  # fmt: skip
def test_ranges_are_read(text: str, meant: Numbers | Choices) -> None:
    (found,) = read_ranges([text])
    assert found == meant
    assert read_ranges({found.key: found.shown}) == (found,)


def test_python_ranges_may_be_lists() -> None:
    assert read_ranges({"a": [None, 0.5]}) == (Choices("a", ("null", "0.5")),)


@pytest.mark.parametrize(
    ("ranges", "message"),
    [
        ([], "no setting to search"),
        (["a"], "--set-range a: expected KEY=LOW..HIGH"),
        (["=1..2"], "expected KEY=LOW..HIGH"),
        (["a=3"], "--set-range a: expected KEY=LOW..HIGH"),
        (["a=[1"], "--set-range a: expected KEY=LOW..HIGH"),
        (["a=5..2"], "5 is not below 2"),
        (["a=1..1"], "1 is not below 1"),
        (["a=0..1:log"], "orders of magnitude begin above 0"),
        (["a=1..4:step=9"], "no step of 9 fits"),
        (["a=1..4:step=0"], "no step of 0 fits"),
        (["a=1.2.3..4"], "expected KEY=LOW..HIGH"),
        (["a=[mlm]"], "a choice needs two values or more"),
        (["a=[mlm, mlm]"], "a choice needs two values or more"),
        (["a=1..2", "a=3..4"], "--set-range a: given twice"),
    ],
)
def test_invalid_ranges_are_rejected(ranges: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message.replace(".", r"\.")):
        read_ranges(ranges)


@given(st.text(alphabet="0123456789.eE+-:logstp=[]{}, ab", max_size=20))
def test_any_text_is_a_range_or_an_error(text: str) -> None:
    try:
        (found,) = read_ranges([f"key={text}"])
    except ConfigError:
        return
    if isinstance(found, Numbers):
        assert found.low < found.high
    else:
        assert len({repr(parse_value(value)) for value in found.values}) > 1


@given(st.floats(1e-6, 1e-3))
def test_sampled_numbers_are_rounded_to_four_digits_within_the_range(value: float) -> None:
    numbers = Numbers("a", 1e-6, 1e-3, integer=False, log=True)
    rounded = numbers.rounded(value)
    assert numbers.low <= rounded <= numbers.high
    assert rounded == pytest.approx(value, rel=5e-4)
