"""Names that a graph implies without writing them: without accents, and, in English, plurals, nationalities, what
institutions and firms are called.

"Medellin" for Medellín, "poets" for poet, "Soviet" for Soviet Union, "Jewish" for Jewish people, "Dutch" for
Netherlands, "Utrecht University" for University of Utrecht, "University of California-Berkeley" for University of
California, Berkeley, "Oberlin Conservatory" for Oberlin Conservatory of Music, "Acme Tools" for Acme Tools, Inc.
A variant is a candidate like any other, with a lower prior than a name that the graph has.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence

_VOWELS = frozenset("aeiou")
_HISSING = ("s", "x", "z", "ch", "sh")
_UNIVERSITY_OF = re.compile(r"University of (?P<place>[^\W\d_a-z][\w.'-]+)")
_PLACE_UNIVERSITY = re.compile(r"(?P<place>[^\W\d_a-z][\w.'-]+) University")
_PEOPLE = re.compile(r"(?P<name>[^\W\d_a-z][\w' -]*\w) [Pp]eople")
_STATE = re.compile(r"(?P<name>[^\W\d_a-z]\w+) (?:Union|Sea|Ocean|Party)")
_JUNIOR = re.compile(r"(?P<name>.+?),? (?:Jr|Sr)\.?")
_FIRMS = ("Inc", "Corp", "Ltd", "Co", "Corporation", "Company", "Incorporated", "Limited", "LLC", "plc")
_FIRM = re.compile(rf"(?P<name>\S+ .*?\S)(?<! &)(?<! and),?(?: &| and)? (?:{'|'.join(_FIRMS)})\.?")
"""At least two words remain: a single one is too often a common word (The Limited, Bad Company; Monsters, Inc.)."""
_SHORTENED = (_PEOPLE, _STATE, _JUNIOR, _FIRM)
_ENDINGS = (
    "University", "eople", "Union", "Sea", "Ocean", "Party", "Jr", "Sr", "Jr.", "Sr.",
    *_FIRMS, *(f"{firm}." for firm in _FIRMS),
)  # fmt: skip
"""What the patterns end with, so that the many names without are passed over quickly."""
_ACCENTED = re.compile(r"[\u00c0-\u024f\u1e00-\u1eff]")
_STROKES = str.maketrans({"ł": "l", "Ł": "L", "ø": "o", "Ø": "O", "đ": "d", "Đ": "D", "ß": "ss", "ẞ": "SS"})
"""Letters whose stroke is no accent to Unicode, which does not take them apart."""
_INSTITUTION = re.compile(
    r"(?P<name>[^\W\d_a-z][\w.'-]* (?:Academy|College|Conservatory|Institute|Museum|School)) of .+"
)

NATIONS: Mapping[str, str] = {
    "Afghanistan": "Afghan", "Albania": "Albanian", "Algeria": "Algerian", "Argentina": "Argentine Argentinian",
    "Armenia": "Armenian", "Australia": "Australian", "Austria": "Austrian", "Azerbaijan": "Azerbaijani",
    "Bangladesh": "Bangladeshi", "Belarus": "Belarusian", "Belgium": "Belgian", "Bolivia": "Bolivian",
    "Bosnia and Herzegovina": "Bosnian", "Brazil": "Brazilian", "Bulgaria": "Bulgarian", "Cambodia": "Cambodian",
    "Cameroon": "Cameroonian", "Canada": "Canadian", "Chile": "Chilean", "China": "Chinese",
    "People's Republic of China": "Chinese", "Colombia": "Colombian", "Croatia": "Croatian", "Cuba": "Cuban",
    "Cyprus": "Cypriot", "Czech Republic": "Czech", "Denmark": "Danish Dane", "Ecuador": "Ecuadorian",
    "Egypt": "Egyptian", "England": "English", "Estonia": "Estonian", "Ethiopia": "Ethiopian",
    "Finland": "Finnish Finn", "France": "French", "Georgia": "Georgian", "Germany": "German", "Ghana": "Ghanaian",
    "Greece": "Greek", "Guatemala": "Guatemalan", "Haiti": "Haitian", "Hungary": "Hungarian",
    "Iceland": "Icelandic", "India": "Indian", "Indonesia": "Indonesian", "Iran": "Iranian", "Iraq": "Iraqi",
    "Ireland": "Irish", "Israel": "Israeli", "Italy": "Italian", "Jamaica": "Jamaican", "Japan": "Japanese",
    "Jordan": "Jordanian", "Kazakhstan": "Kazakh", "Kenya": "Kenyan", "Kuwait": "Kuwaiti", "Latvia": "Latvian",
    "Lebanon": "Lebanese", "Libya": "Libyan", "Lithuania": "Lithuanian", "Malaysia": "Malaysian", "Malta": "Maltese",
    "Mexico": "Mexican", "Mongolia": "Mongolian", "Morocco": "Moroccan", "Nepal": "Nepalese", "Netherlands": "Dutch",
    "New Zealand": "New_Zealander", "Nigeria": "Nigerian", "North Korea": "North_Korean", "Norway": "Norwegian",
    "Pakistan": "Pakistani", "Palestine": "Palestinian", "Peru": "Peruvian", "Philippines": "Filipino",
    "Poland": "Polish Pole", "Portugal": "Portuguese", "Romania": "Romanian", "Russia": "Russian",
    "Saudi Arabia": "Saudi", "Scotland": "Scottish", "Senegal": "Senegalese", "Serbia": "Serbian",
    "Singapore": "Singaporean", "Slovakia": "Slovak", "Slovenia": "Slovenian Slovene", "Somalia": "Somali",
    "South Africa": "South_African", "South Korea": "South_Korean", "Spain": "Spanish Spaniard",
    "Sri Lanka": "Sri_Lankan", "Sudan": "Sudanese", "Sweden": "Swedish Swede", "Switzerland": "Swiss",
    "Syria": "Syrian", "Taiwan": "Taiwanese", "Thailand": "Thai", "Tunisia": "Tunisian", "Turkey": "Turkish Turk",
    "Uganda": "Ugandan", "Ukraine": "Ukrainian", "United Kingdom": "British", "United States": "American",
    "Uruguay": "Uruguayan", "Venezuela": "Venezuelan", "Vietnam": "Vietnamese", "Wales": "Welsh",
    "Yugoslavia": "Yugoslav Yugoslavian", "Zimbabwe": "Zimbabwean",
}  # fmt: skip
"""Country → its adjectives and inhabitants in the singular; `_` stands for a blank."""


def variants(names: Sequence[str]) -> Iterator[str]:
    """Further names of the entity that is called `names`, its label first; some may be among `names`."""
    label = names[0]
    if label[:1].islower():
        yield from filter(None, map(plural, names))
    for name in names:
        if not name.isascii() and _ACCENTED.search(name):
            yield without_accents(name)
        if " of " in name and (found := _INSTITUTION.fullmatch(name)):
            yield found["name"]
        if name.startswith("University of ") and ", " in name:
            yield from (name.replace(", ", joined, 1) for joined in (" at ", "-", " "))
        if not name.endswith(_ENDINGS) and "University of " not in name:
            continue
        if found := _UNIVERSITY_OF.fullmatch(name):
            yield f"{found['place']} University"
        elif found := _PLACE_UNIVERSITY.fullmatch(name):
            yield f"University of {found['place']}"
        elif found := next(filter(None, (shape.fullmatch(name) for shape in _SHORTENED)), None):
            yield found["name"]
    for nation in filter(NATIONS.__contains__, names):
        for adjective in NATIONS[nation].split():
            singular = adjective.replace("_", " ")
            yield singular
            if not singular.endswith(("ish", "ese", "ch", "sh", "ss")):
                yield f"{singular}s"


def without_accents(name: str) -> str:
    """The name in the letters that its accents stand on."""
    decomposed = unicodedata.normalize("NFKD", name)
    bare = "".join(char for char in decomposed if not unicodedata.combining(char))
    return unicodedata.normalize("NFC", bare.translate(_STROKES))


def plural(name: str) -> str:
    """The regular plural of an English noun, "" where the name does not end in a lower-case letter."""
    if not ("a" <= name[-1:] <= "z") or name.endswith("s"):
        return ""
    if name.endswith("y") and name[-2:-1] not in _VOWELS:
        return f"{name[:-1]}ies"
    return f"{name}es" if name.endswith(_HISSING) else f"{name}s"
