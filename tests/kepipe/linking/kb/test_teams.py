"""Short names of teams."""

from __future__ import annotations

import pytest

from kepipe.linking.kb.teams import team_names
from kepipe.linking.kb.variants import variants

PLACES = {
    "Bolton",
    "Cincinnati",
    "Georgia",
    "Kansas",
    "Kansas City",
    "New York",
    "New York City",
    "Tampa",
    "Utah",
}


@pytest.mark.parametrize(
    ("club", "implied"),
    [
        ("Chelsea F.C.", {"Chelsea"}),
        ("Sunderland A.F.C.", {"Sunderland"}),
        ("FC Bayern", {"Bayern"}),
        ("A.S. Monaco F.C.", {"Monaco"}),
        ("R.S.C. Anderlecht", {"Anderlecht"}),
        ("VfB Stuttgart", {"Stuttgart"}),
        ("TSG 1899 Hoffenheim", {"Hoffenheim"}),
        ("A.C. Monza Brianza 1912", {"Monza Brianza"}),
        ("Watford Football Club", {"Watford"}),
        ("Chicago Fire Soccer Club", {"Chicago Fire"}),
        ("Club Libertad", {"Libertad"}),
        ("U.S. Sassuolo Calcio", {"U.S. Sassuolo"}),
        ("1. FC Nuremberg", {"Nuremberg"}),
        ("Club Brugge K.V.", {"Brugge"}),
        ("Bath Rugby Football Club", {"Bath"}),
        ("American Kennel Club", set()),
        ("The Football Club", set()),
        ("Club of Rome", set()),
        ("Airlines of 1912", set()),
        ("FC", set()),
        ("AC Wu", set()),
    ],
)
def test_club_abbreviations_are_dropped(club: str, implied: set[str]) -> None:
    assert set(team_names(club, (), team=True)) == implied


@pytest.mark.parametrize(
    "firm",
    [
        "C.R. England",
        "CA Technologies",
        "NEC Corporation",
        "SC Johnson",
        "Russia 1",
        "Radio 1",
        "Club Monaco",
    ],
)
def test_a_firm_keeps_its_abbreviation(firm: str) -> None:
    assert set(team_names(firm, PLACES, team=False)) == set()
    assert set(team_names("Chelsea F.C.", PLACES, team=False)) == {"Chelsea"}


def test_a_national_team_has_the_name_of_its_nation() -> None:
    assert list(team_names("Netherlands national football team", (), team=False)) == [
        "Netherlands",
        "Netherlands national team",
        "Dutch national team",
    ]
    for sport in ("soccer", "ice hockey", "under-20 soccer"):
        names = set(team_names(f"United States men's national {sport} team", (), team=True))
        assert names >= {"United States", "United States national team"}
    assert "New Zealander national team" not in set(team_names("New Zealand national rugby team", (), True))
    assert set(team_names("Canada's national ballet team", (), team=True)) == set()


def test_the_sport_is_dropped_from_a_college_team() -> None:
    assert set(team_names("Georgia Bulldogs football", PLACES, team=True)) == {"Georgia Bulldogs", "Bulldogs"}
    assert set(team_names("Villanova Wildcats men's basketball", PLACES, team=True)) == {"Villanova Wildcats"}
    assert set(team_names("Association football", PLACES, team=True)) == set()


@pytest.mark.parametrize(
    ("team", "implied"),
    [
        ("Cincinnati Bengals", {"Bengals"}),
        ("Bolton Red Sox", {"Red Sox"}),
        ("New York City Giants", {"Giants"}),
        ("Kansas City Chiefs", {"Chiefs"}),
        ("Tampa Bay Rays", {"Rays"}),
        ("Utah State Aggies", {"Aggies"}),
        ("Kansas State University, Wichita Falls", set()),
        ("Utah Broadcasting Holdings", set()),
        ("Utah Microsystems", set()),
        ("Bolton Railways", set()),
        ("Bolton Bank of Arts", set()),
        ("Bolton", set()),
        ("Utah Jazz", set()),
        ("Atlantis Bears", set()),
    ],
)
def test_a_team_has_its_nickname(team: str, implied: set[str]) -> None:
    assert set(variants([team], "organisation", PLACES, team=True)) == implied
    assert set(variants([team], "work", PLACES, team=True)) == set()
