"""Normal form of names and text, alignment of offsets, and matching of case."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kg.surface import align, fits_case, fold, normalise


@pytest.mark.parametrize(
    ("raw", "normal"),
    [
        ("  New\u00a0 York ", "New York"),
        ("Cote d\u2019Ivoire", "Cote d'Ivoire"),
        ("Bosnia\u2013Herzegovina", "Bosnia-Herzegovina"),
        ("Mu\u0308nchen", "München"),
        ("Ｂｅｒｌｉｎ", "Berlin"),
        ("Ber\u00adlin", "Berlin"),
        ("柏林", "柏林"),
        *((f"安娜{dot}卡列尼娜", "安娜·卡列尼娜") for dot in "·•・‧･．∙⋅"),
        ("１．５", "1.5"),
    ],
)
def test_normal_form(raw: str, normal: str) -> None:
    assert normalise(raw) == normal


@given(st.text())
def test_normalisation_is_idempotent(text: str) -> None:
    once = normalise(text)
    assert normalise(once) == once


@given(st.text(alphabet=st.characters(codec="utf-8")))
def test_folding_keeps_the_length(text: str) -> None:
    assert len(fold(text)) == len(text)
    assert fold(fold(text)) == fold(text)


def test_aligned_offsets_are_those_of_the_text() -> None:
    text = "in Mu\u0308nchen,\nthe ﬁrst d\u2019Ivoire\u00ad!"
    normal, places = align(text)
    assert normal == "in München, the first d'Ivoire!"
    assert places is not None
    start = normal.index("München")
    assert text[places[start] : places[start + 7]] == "Mu\u0308nchen"
    start = normal.index("first")
    assert text[places[start] : places[start + 5]] == "ﬁrst"
    assert places[len(normal)] == len(text)


@pytest.mark.parametrize("run", ["  ", "\r\n", " \n", "\n\t ", "\u00a0 ", "\u2009\u2009"])
def test_white_space_within_a_paragraph_is_one_blank(run: str) -> None:
    normal, places = align(f"in New{run}York,{run}")
    assert normal == "in New York, "
    assert places is not None
    start = normal.index("New York")
    assert f"in New{run}York,{run}"[places[start] : places[start + 8]] == f"New{run}York"


@pytest.mark.parametrize("run", ["\n\n", "\r\n\r\n", "\n \t\n", "\r\r"])
def test_an_empty_line_is_more_than_one_blank(run: str) -> None:
    assert align(f"New{run}York")[0] == f"New{' ' * len(run)}York" != "New York"


def test_normal_text_needs_no_alignment() -> None:
    assert align("Plain text, with Müller.") == ("Plain text, with Müller.", None)


@given(st.text())
def test_alignment_agrees_with_normalisation(text: str) -> None:
    normal, places = align(text)
    assert normalise(normal) == normalise(text)
    if places is not None:
        assert len(places) == len(normal) + 1
        assert all(a <= b for a, b in pairwise(places))


@pytest.mark.parametrize(
    ("surface", "name", "fits"),
    [
        ("Berlin", "Berlin", True),
        ("BERLIN", "Berlin", True),
        ("berlin", "Berlin", False),
        ("us", "US", False),
        ("US", "us", False),
        ("Unesco", "UNESCO", True),
        ("Who", "WHO", False),
        ("Cancer", "cancer", True),
        ("Drama Film", "drama film", True),
        ("drama Film", "drama film", True),
        ("caNcer", "cancer", False),
        ("New york", "New York", False),
    ],
)
def test_case(surface: str, name: str, fits: bool) -> None:
    assert fits_case(surface, name) is fits


def test_either_script_has_the_same_key_and_fits() -> None:
    assert fold("臺灣") == fold("台湾") == "台湾"
    assert fits_case("臺灣", "台湾")
    assert fits_case("台湾", "臺灣")
    assert len(fold("İstanbul 電腦")) == len("İstanbul 電腦")
