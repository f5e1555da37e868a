"""Short names of teams: "Anderlecht" for R.S.C. Anderlecht, "Hoffenheim" for TSG 1899 Hoffenheim, "Sweden"
for Sweden national football team, "Bengals" for Cincinnati Bengals, "Georgia Bulldogs" for Georgia Bulldogs football.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterator

from kepipe.linking.kb.nations import NATIONS

_CLUB_SIGNS = (
    "AC ACF AD AEK AEL AFC AJ AO AS ASD BK BSC CA CD CF CP CR CS EC ES FBK FC FF FK FSV GD GFK GNK HFC HJK HNK HSV "
    "IF IFK IK KAA KRC KSC KV LOSC MFC NAC NEC NK OFI OGC OSC PFC RB RC RCD RKC RSC SBV SC SCO SE SFC SG SK SL SS SSC "
    "SV SVG TSG TSV UD VfB VfL"
)
"""Abbreviations for "club" in many languages ("fotbal club", "Sportverein", "società sportiva"), without full stops."""
_SIGNS = frozenset(_CLUB_SIGNS.split())
_SURE_SIGNS = frozenset(("FC", "AFC"))
"""Abbreviations that firms do not use in their names."""
_BESIDE_SIGN = re.compile(r"1\.|0\d|1[89]\d\d")
"""Numbers and founding years beside the abbreviation: 1. FC Köln, TSV 1860 Munich."""
_CLUB = re.compile(
    r"Club (?P<after>[^\W\d_a-z].+)"
    r"|(?!The )(?P<before>.+?)(?: Calcio|(?: Association| Rugby)? (?:Football|Soccer|Sports?) Club)"
)
_NATIONAL = re.compile(r"(?P<place>.+?)(?<!'s)(?: (?:wo)?men's)? national (?:[\w-]+ ){1,3}team")
_COLLEGE = re.compile(
    r"(?P<name>.+ \w+s) (?:(?:wo)?men's )?(?:baseball|basketball|football|ice hockey|soccer)"
)
_NICKNAME = re.compile(r"(?:Bay |City |State )?(?P<name>[^\W\d_a-z][\w'-]*(?: [^\W\d_a-z][\w'-]*)?)")
"""One or two words, without a leading "City" or "State", or "Bay" (if Tampa Bay is not a place of the graph)."""
NO_TEAM = re.compile(
    r"(?:.* )?(?:Air(?:lines|ways)|Courts|Enterprises|Galleries|Holdings|Industries|Instruments|Lines|Motors|Pictures|"
    r"Productions|Railways|Records|Schools|Sciences|Series|Services|Studios|\w*[Ss]ystems|Times|\w*[Ww]orks)"
)
_MAX_PLACE_WORDS = 4
"""Maximum number of words of a place in a team's name."""
_MIN_LENGTH = 4
"""Minimum number of characters of a club's name without its abbreviations."""


def team_names(name: str, places: Container[str], team: bool) -> Iterator[str]:
    """Shorter names of an organisation; `team`: the graph says that it is a team (otherwise it may be one).

    `places`: names of places; what follows one in the name is a nickname.
    """
    if match := _NATIONAL.fullmatch(name):
        yield match["place"]
        adjectives = [word for word in NATIONS.get(match["place"], "").split()[:1] if not word.endswith("er")]
        yield from (f"{whose} national team".replace("_", " ") for whose in (match["place"], *adjectives))
        return
    if team and (match := _COLLEGE.fullmatch(name)):
        name = match["name"]
        yield name
    bare = name
    if team and (match := _CLUB.fullmatch(name)):
        bare = match["after"] or match["before"]
    bare = _without_signs(bare, _SIGNS if team else _SURE_SIGNS)
    if len(bare) >= _MIN_LENGTH and bare != name:
        yield bare
    yield from _nicknames(name, places)


def _without_signs(club: str, signs: Container[str]) -> str:
    """The name without leading and trailing club abbreviations and the numbers beside them."""
    words = club.replace(",", "").split(" ")
    signed = [word.replace(".", "") in signs for word in words]
    beside = [bool(_BESIDE_SIGN.fullmatch(word)) for word in words]
    if not any(signed):
        return club
    first, stop = 0, len(words)
    while first < stop and (signed[first] or beside[first]):
        first += 1
    while first < stop and (signed[stop - 1] or beside[stop - 1]):
        stop -= 1
    return " ".join(words[first:stop])


def _nicknames(team: str, places: Container[str]) -> Iterator[str]:
    """The part after the place in a team's name ("Bengals", "Red Sox"); the longest matching place is used."""
    if not team.endswith(("s", " Sox")):
        return
    words = team.split(" ", _MAX_PLACE_WORDS + 3)  # a place, and a nickname of three words at the most
    for cut in range(min(_MAX_PLACE_WORDS, len(words) - 1), 0, -1):
        if " ".join(words[:cut]) in places:
            match = _NICKNAME.fullmatch(" ".join(words[cut:]))
            if match and not NO_TEAM.fullmatch(match["name"]):
                yield match["name"]
            return
