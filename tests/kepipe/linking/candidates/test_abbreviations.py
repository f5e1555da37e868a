"""Abbreviations that a text defines."""

from __future__ import annotations

import pytest

from kepipe.linking.candidates.abbreviations import abbreviations


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("In myotonic dystrophy (DM) muscles waste.", [("DM", "myotonic dystrophy")]),
        ("Myotonic dystrophy type 1 (DM1) and 2.", [("DM1", "Myotonic dystrophy type 1")]),
        ("a myotonic dystrophy, type 2 (DM-2)", []),
        ("of myotonic dystrophy (DM1)", []),
        ("of myotonic dystrophy type 2 (DM1)", []),
        ("Patients with ataxia-telangiectasia (A-T) fall.", [("A-T", "ataxia-telangiectasia")]),
        ("The European Space Agency (ESA; Paris) said so.", [("ESA", "European Space Agency")]),
        ("the gene (see below) and the rest (DM)", []),
        ("It rose (by 12) in the year (2006).", []),
        ("a of heat shock transcription factor (HSF)", [("HSF", "heat shock transcription factor")]),
    ],
)
def test_long_and_short_forms(text: str, expected: list[tuple[str, str]]) -> None:
    found = [(each.short, text[each.start : each.end]) for each in abbreviations(text)]
    assert found == expected
