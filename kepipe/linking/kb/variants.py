"""Name variants that the graph does not list: without accents and brackets, and, in English, plurals, demonyms,
and short names of institutions, firms, parties and seas.

"Medellin" for Medellín, "Titanic" for Titanic (film), "poets" for poet, "Soviet" for Soviet Union, "Jewish" for Jewish
people, "Dutch" for Netherlands, "Utrecht University" for University of Utrecht, "University of California-Berkeley"
for University of California, Berkeley, "Oberlin Conservatory" for Oberlin Conservatory of Music, "Acme Tools" for
Acme Tools, Inc., "Epic" for Epic Records, "Cosby Show" for The Cosby Show, "Pacific" for Pacific Ocean, "John Smith"
for John Q. Smith, "St Helens" for St. Helens, "Liberal Party" for Liberal Party of Canada, "Best Director" for Academy
Award for Best Director, "U.S. Navy" for United States Navy, "Bullets over Broadway" for Bullets Over Broadway; for
teams see `teams`. A variant gives candidates like any other name, with a lower prior than a name of the graph.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Container, Iterator, Sequence

from kepipe.linking.kb.nations import demonyms
from kepipe.linking.kb.teams import team_names

_VOWELS = frozenset("aeiou")
_HISSING = ("s", "x", "z", "ch", "sh")
_NO_MAN = (
    "ataman", "brahman", "caiman", "cayman", "doberman", "firman", "german", "hetman", "human", "norman",
    "ottoman", "roman", "shaman", "talisman", "turcoman", "turkoman",
)  # fmt: skip
"""Endings of nouns in -man whose plural is -mans; the others take -men (woman, policeman)."""
_UNIVERSITY_OF = re.compile(r"University of (?P<place>[^\W\d_a-z][\w.'-]+)")
_PLACE_UNIVERSITY = re.compile(r"(?P<place>[^\W\d_a-z][\w.'-]+) University")
_PEOPLE = re.compile(r"(?P<name>[^\W\d_a-z][\w' -]*\w) people")
"""Lower-case "people" only: "Ordinary People" is a title."""
_SEA = re.compile(r"(?P<name>[^\W\d_a-z]\w+(?:ic|ean)) (?:Sea|Ocean)")
"""The Pacific and the Aegean, but not the North (Sea) or the Indian (Ocean)."""
_PARTY = re.compile(r"(?P<name>[^\W\d_a-z]\w+) Party")
_PARTY_OF = re.compile(r"(?P<name>[^\W\d_a-z]\w+ Party) of .+")
_JUNIOR = re.compile(r"(?P<name>.+?),? (?:Jr|Sr)\.?")
_FIRMS = ("Inc", "Corp", "Ltd", "Co", "Corporation", "Company", "Incorporated", "Limited", "LLC", "plc")
_FIRM = re.compile(
    rf"(?!The .* (?:Company|Corporation)$)(?P<name>\S+ .*?\S)(?<! &)(?<! and),?(?: &| and)? (?:{'|'.join(_FIRMS)})\.?"
)
"""At least two words must remain: a single one is too often a common word (The Limited, Bad Company; Monsters, Inc.).
Names like The Boeing Company are excluded, since "The Boeing" is not used."""
_BRACKETED = re.compile(r"(?P<name>.*\w) \([^()]+\)")
"""A disambiguating suffix in brackets: "Titanic (film)"."""
_SHORTENED = (_PEOPLE, _SEA, _PARTY, _JUNIOR, _FIRM, _BRACKETED)
_ENDINGS = (
    "University", " people", "Sea", "Ocean", "Party", "Jr", "Sr", "Jr.", "Sr.", ")",
    *_FIRMS, *(f"{firm}." for firm in _FIRMS),
)  # fmt: skip
"""Endings of all names that the patterns can match, as a quick test before the patterns."""
_ACCENTED = re.compile(r"[\u00c0-\u024f\u1e00-\u1eff]")
_STROKES = str.maketrans({"ł": "l", "Ł": "L", "ø": "o", "Ø": "O", "đ": "d", "Đ": "D", "ß": "ss", "ẞ": "SS"})
"""Letters that Unicode does not decompose into a base letter and an accent."""
_INSTITUTION = re.compile(
    r"(?!(?:The|Agricultural|Graduate|High|Law|Medical|Military|National|Normal|Polytechnic|State|University) )"
    r"(?P<name>[^\W\d_a-z][\w.'-]* (?:Academy|College|Conservatory|Institute|Museum|School)) of .+"
)
"""Names that begin with a generic adjective (medical college, national museum) would be too ambiguous."""
_INITIALED = re.compile(r"(?P<first>[^\W\d_]{2,}) (?:[^\W\d_]\.? )+(?P<last>[^\W\d_][\w'-]+)")
_STATES = re.compile(r"(?:United States|U\.S\.) (?!of )(?P<rest>[^\W\d_].+)")
_STUDIO = re.compile(r"(?!The )(?P<name>.{4,})(?<! World) (?:Pictures|Recordings|Records|Studios)")
_AWARD = re.compile(r".+ Awards? for (?P<name>(?:Best|Outstanding) .+)")
_ABBREVIATED = re.compile(r"\b(Dr|Ft|Mr|Mrs|Mt|St)\.")
"""Abbreviations that British spelling writes without a full stop."""
_SMALL = re.compile(r"(?<=\w )(?:And|As|At|By|For|From|In|Into|Of|On|Or|Over|The|To|Under|With)(?= \w)")
"""Words within a title that may be written in lower case."""
_NO_NATION = ("person", "organisation", "work")
"""Kinds that get no demonyms: Michael Jordan has the alias Jordan; Brazil is a film too, and Chicago a band."""


def variants(
    names: Sequence[str], kind: str = "none", places: Container[str] = (), team: bool = False
) -> Iterator[str]:
    """Variants of the `names` of an entity, its label first; some may already be among `names`.

    `kind` (of `kinds.KINDS`): persons, bands and films named after a nation get no demonyms. `places`: names of
    places, to split a team's name into place and nickname; `team`: whether the graph says that it is a team.
    """
    label = names[0]
    if kind == "organisation":
        yield from team_names(label, places, team)
    if label[:1].islower():
        yield from filter(None, map(plural, names))
    for name in names:
        yield from _spelling_variants(name, kind)
        yield from _shortened_names(name, kind)
    if kind not in _NO_NATION:
        yield from demonyms(names)


def _spelling_variants(name: str, kind: str) -> Iterator[str]:
    """The whole name in other spellings."""
    if not name.isascii() and _ACCENTED.search(name):
        yield without_accents(name)
    if name.startswith("University of ") and ", " in name:
        yield from (name.replace(", ", joined, 1) for joined in (" at ", "-", " "))
    if name.startswith(("United States ", "U.S. ")) and (match := _STATES.fullmatch(name)):
        yield from (f"{states} {match['rest']}" for states in ("United States", "U.S.", "US"))
    if "." in name and (bare := _ABBREVIATED.sub(r"\1", name)) != name:
        yield bare
    if kind != "person" and (small := _SMALL.sub(lambda word: word[0].lower(), name)) != name:
        yield small


def _shortened_names(name: str, kind: str) -> Iterator[str]:
    """Parts of the name that may stand for it, and "X University" for "University of X" and vice versa."""
    if " of " in name and (match := _INSTITUTION.fullmatch(name)):
        yield match["name"]
    if name.startswith("The ") and name.count(" ") > 1:
        # In running text the article is in lower case and not part of the name.
        yield name.removeprefix("The ")
    if kind == "person" and "." in name and (match := _INITIALED.fullmatch(name)):
        yield f"{match['first']} {match['last']}"
    if " for " in name and (match := _AWARD.fullmatch(name)):
        yield match["name"]
    if kind == "organisation" and (match := _STUDIO.fullmatch(name)):
        yield match["name"]
    if kind != "work" and " Party of " in name and (match := _PARTY_OF.fullmatch(name)):
        yield match["name"]
    if not name.endswith(_ENDINGS) and "University of " not in name:
        return
    if kind == "work" and name.endswith(" Party"):
        return  # the film House Party is not called "House"
    if match := _UNIVERSITY_OF.fullmatch(name):
        yield f"{match['place']} University"
    elif match := _PLACE_UNIVERSITY.fullmatch(name):
        yield f"University of {match['place']}"
    elif match := next(filter(None, (shape.fullmatch(name) for shape in _SHORTENED)), None):
        yield match["name"]


def without_accents(name: str) -> str:
    """The name in its base letters."""
    decomposed = unicodedata.normalize("NFKD", name)
    bare = "".join(char for char in decomposed if not unicodedata.combining(char))
    return unicodedata.normalize("NFC", bare.translate(_STROKES))


def plural(name: str) -> str:
    """The plural of an English noun, "" if the name does not end in a lower-case letter."""
    if not ("a" <= name[-1:] <= "z") or name.endswith("s"):
        return ""
    if name.endswith("man") and not name.endswith(_NO_MAN):
        return f"{name[:-2]}en"
    if name.endswith("person"):
        return f"{name[:-4]}ople"
    if name.endswith("y") and name[-2:-1] not in _VOWELS:
        return f"{name[:-1]}ies"
    return f"{name}es" if name.endswith(_HISSING) else f"{name}s"
