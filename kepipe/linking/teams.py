"""What teams are called for short: "Anderlecht" for R.S.C. Anderlecht, "Hoffenheim" for TSG 1899 Hoffenheim, "Sweden"
for Sweden national football team, "Bengals" for Cincinnati Bengals, "Georgia Bulldogs" for Georgia Bulldogs football.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterator

from kepipe.linking.nations import NATIONS

_CLUB_SIGNS = (
    "1 AC ACF AD AEK AEL AFC AJ AO AS ASD BK BSC CA CD CF CP CR CS EC ES FBK FC FF FK FSV GD GFK GNK HFC HJK HNK HSV "
    "IF IFK IK KAA KRC KSC KV LOSC MFC NAC NEC NK OFI OGC OSC PFC RB RC RCD RKC RSC SBV SC SCO SE SFC SG SK SL SS SSC "
    "SV SVG TSG TSV UD VfB VfL"
)
"""Of a club in many languages, as "fotbal club", "Sportverein", "società sportiva", without full stops."""
_SIGNS = frozenset(_CLUB_SIGNS.split())
_YEAR = re.compile(r"0\d|1[89]\d\d")
"""When a club was founded: TSV 1860 Munich."""
_CLUB = re.compile(
    r"Club (?P<after>.+)|(?P<before>.+?)(?: Calcio|(?: Association)? (?:Football|Soccer|Sports?) Club)"
)
_NATIONAL = re.compile(r"(?P<place>.+?)(?: (?:wo)?men's)? national (?:association )?\w+ team")
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


def team_names(team: str, places: Container[str]) -> Iterator[str]:
    """Shorter names of an organisation, if it is a team; `places`: names of places, by which a nickname is told."""
    if found := _NATIONAL.fullmatch(team):
        yield found["place"]
        adjectives = NATIONS.get(found["place"], "").split()
        yield from (f"{whose} national team".replace("_", " ") for whose in (found["place"], *adjectives))
        return
    if found := _COLLEGE.fullmatch(team):
        team = found["name"]
        yield team
    if len(club := _without_signs(team)) >= _SHORTEST and club != team:
        yield club
    yield from _nicknames(team, places)


def _without_signs(club: str) -> str:
    """The name without what says that it is a club, and without the year beside that."""
    if found := _CLUB.fullmatch(club):
        return found["after"] or found["before"]
    words = club.replace(",", "").split(" ")
    kept = [word for word in words if word.replace(".", "") not in _SIGNS]
    if len(kept) == len(words):
        return club
    return " ".join(word for word in kept if not _YEAR.fullmatch(word))


def _nicknames(team: str, places: Container[str]) -> Iterator[str]:
    """What stands behind the place in the name of a team: "Bengals", "Red Sox"; the longest place counts."""
    if not team.endswith(("s", " Sox")):
        return
    words = team.split(" ", _PLACE + 3)  # a place, and a nickname of three words at the most
    for cut in range(min(_PLACE, len(words) - 1), 0, -1):
        if " ".join(words[:cut]) in places:
            found = _NICKNAME.fullmatch(" ".join(words[cut:]))
            if found and not _NO_TEAM.fullmatch(found["name"]):
                yield found["name"]
            return
