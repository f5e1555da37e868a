"""What teams are called for short: "Anderlecht" for R.S.C. Anderlecht, "Hoffenheim" for TSG 1899 Hoffenheim, "Sweden"
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
"""Of a club in many languages, as "fotbal club", "Sportverein", "società sportiva", without full stops."""
_SIGNS = frozenset(_CLUB_SIGNS.split())
_SURE_SIGNS = frozenset(("FC", "AFC"))
"""No firm is called so."""
_BESIDE_SIGN = re.compile(r"1\.|0\d|1[89]\d\d")
"""The first club of a place, and when it was founded: 1. FC Köln, TSV 1860 Munich."""
_CLUB = re.compile(
    r"Club (?P<after>[^\W\d_a-z].+)"
    r"|(?!The )(?P<before>.+?)(?: Calcio|(?: Association| Rugby)? (?:Football|Soccer|Sports?) Club)"
)
_NATIONAL = re.compile(r"(?P<place>.+?)(?<!'s)(?: (?:wo)?men's)? national (?:[\w-]+ ){1,3}team")
_COLLEGE = re.compile(
    r"(?P<name>.+ \w+s) (?:(?:wo)?men's )?(?:baseball|basketball|football|ice hockey|soccer)"
)
_NICKNAME = re.compile(r"(?:Bay |City |State )?(?P<name>[^\W\d_a-z][\w'-]*(?: [^\W\d_a-z][\w'-]*)?)")
"""One word or two; "State" is no part of it, nor is "Bay" where Tampa Bay is no place of the graph."""
_NO_TEAM = re.compile(
    r"(?:.* )?(?:Air(?:lines|ways)|Courts|Enterprises|Galleries|Holdings|Industries|Instruments|Lines|Motors|Pictures|"
    r"Productions|Railways|Records|Schools|Sciences|Series|Services|Studios|\w*[Ss]ystems|Times|\w*[Ww]orks)"
)
_PLACE = 4
"""No place by which a team is called has more words."""
_SHORTEST = 4
"""What remains of a club's name has at least so many characters."""


def team_names(name: str, places: Container[str], team: bool) -> Iterator[str]:
    """Shorter names of an organisation that is said to be a `team`, or that may be one.

    `places`: names of places, by which a nickname is told.
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
    if len(bare) >= _SHORTEST and bare != name:
        yield bare
    yield from _nicknames(name, places)


def _without_signs(club: str, signs: Container[str]) -> str:
    """The name without the signs of a club at its beginning and end, and what stands beside them."""
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
    """What stands behind the place in the name of a team: "Bengals", "Red Sox"; the longest place counts."""
    if not team.endswith(("s", " Sox")):
        return
    words = team.split(" ", _PLACE + 3)  # a place, and a nickname of three words at the most
    for cut in range(min(_PLACE, len(words) - 1), 0, -1):
        if " ".join(words[:cut]) in places:
            match = _NICKNAME.fullmatch(" ".join(words[cut:]))
            if match and not _NO_TEAM.fullmatch(match["name"]):
                yield match["name"]
            return
