"""Surface forms of names: one normal form for aliases and text, and matching of upper and lower case."""

from __future__ import annotations

import re
import unicodedata
from functools import cache
from importlib.resources import files

import numpy as np

from kg.arrays import Bools, Ints32

INVISIBLE = "\u00ad\u200b\u2060\ufeff"
"""Characters that `normalise` removes: soft hyphen, zero-width space, word joiner, byte order mark."""
_ALIKE = str.maketrans(
    dict.fromkeys("\u2018\u2019\u02bc\u2032`\u00b4", "'")
    | dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2212", "-")
    | dict.fromkeys("\u2022\u2027\u2219\u22c5\u30fb\uff65", "\u00b7")
    | dict.fromkeys(INVISIBLE, None)
)
_INVISIBLE = re.compile(f"[{INVISIBLE}]")
_ODD = re.compile(
    rf"[\u2018\u2019\u02bc\u2032`\u00b4\u2010-\u2014\u2212\u2022\u2027\u2219\u22c5\u30fb\uff65{INVISIBLE}]|[^\S ]"
)
_HAN = re.compile(r"[\u3400-\u9fff\uf900-\ufaff\U00020000-\U0003ffff]")
_SPACE = re.compile(r"\s")
_RUN = re.compile(r"\s{2,}")
_BREAK = re.compile(r"\r\n|[\n\r\x0b\x0c\x1c-\x1e\x85\u2028]|\u2029")
_FULL_DOT = re.compile(r"(?<=[\u3400-\u9fff\uf900-\ufaff])\uff0e(?=[\u3400-\u9fff\uf900-\ufaff])")
"""A full-width dot between Chinese characters, which separates the parts of a foreign name; elsewhere a full stop."""


def normalise(name: str) -> str:
    """The normal form of a name: Unicode NFKC, plain apostrophes, hyphens and middle dots, single inner spaces.

    Case and diacritics are kept: `fits_case` compares case, and `fold` gives the look-up key.
    """
    if name.isascii() and "`" not in name:
        return " ".join(name.split())
    name = _FULL_DOT.sub("\u00b7", name)
    return " ".join(unicodedata.normalize("NFKC", name).translate(_ALIKE).split())


def fold(text: str) -> str:
    """The look-up key of a name: lower case, and simplified Chinese characters. The length never changes."""
    return simplify(lower(text))


def simplify(text: str) -> str:
    """Traditional Chinese characters → simplified ones, one by one, so that a name is found in either script.

    If there are several, the first one in OpenCC's list is used, which is enough to compare names.
    """
    return text.translate(_simplified()) if _HAN.search(text) else text


@cache
def _simplified() -> dict[int, str]:
    """OpenCC's table of characters."""
    table = files("opencc").joinpath("dictionary", "TSCharacters.txt").read_text(encoding="utf-8")
    pairs = (line.split("\t") for line in table.splitlines() if line)
    return {ord(old): new for old, more in pairs if len(old) == 1 and len(new := more.split(" ")[0]) == 1}


def lower(text: str) -> str:
    """Lower case, character by character: the length never changes (İ, which would become two characters, is kept)."""
    lowered = text.lower()
    if len(lowered) == len(text):
        return lowered
    return "".join(low if len(low := char.lower()) == 1 else char for char in text)


def align(text: str) -> tuple[str, Ints32 | None]:
    """A running text in the form of `normalise`, and int32 [n + 1], the offset in `text` of each character.

    The last offset is the text's length, so that a match a..b of the normal text is `text[at[a]:at[b]]`. None means
    the identity, as for most texts. White space becomes one blank, except that white space with an empty line becomes
    one blank per character, since names do not extend over it.
    """
    text = _FULL_DOT.sub("\u00b7", text)
    blanks = _surplus_blanks(text)
    if blanks is None:
        return _align(text)
    kept = np.flatnonzero(~blanks).astype(np.int32)
    normal, places = _align("".join(map(text.__getitem__, kept.tolist())))
    raw = np.append(kept, np.int32(len(text)))
    return normal, raw if places is None else raw[places]


def _surplus_blanks(text: str) -> Bools | None:
    """Which characters continue a run of white space within a paragraph: bool [n]; None if none does."""
    found = None
    for run in _RUN.finditer(text):
        if len(_BREAK.findall(run[0])) + run[0].count("\u2029") < 2:
            found = np.zeros(len(text), bool) if found is None else found
            found[run.start() + 1 : run.end()] = True
    return found


def _align(text: str) -> tuple[str, Ints32 | None]:
    if unicodedata.is_normalized("NFKC", text) and not _INVISIBLE.search(text):
        return (_SPACE.sub(" ", text.translate(_ALIKE)) if _ODD.search(text) else text), None
    pieces: list[str] = []
    places: list[int] = []
    for start, end in _clusters(text):
        piece = _SPACE.sub(" ", unicodedata.normalize("NFKC", text[start:end]).translate(_ALIKE))
        pieces.append(piece)
        places.extend([start] * len(piece))
    return "".join(pieces), np.asarray([*places, len(text)], np.int32)


def _clusters(text: str) -> list[tuple[int, int]]:
    """Boundaries of clusters that NFKC composes separately: before each character other than a combining mark or a
    Hangul vowel or final."""
    cuts = [
        place
        for place, char in enumerate(text)
        if char.isascii() or not (unicodedata.category(char)[0] == "M" or "\u1160" <= char <= "\u11ff")
    ]
    if text and (not cuts or cuts[0] != 0):
        cuts.insert(0, 0)
    return list(zip(cuts, [*cuts[1:], len(text)], strict=True))


def fits_case(surface: str, name: str) -> bool:
    """Whether the case of `surface` in a text fits `name`; both are normalised and equal when folded.

    Capitals of the name must be capitals in the text ("reading" is not Reading, "us" is not US). The text may
    capitalise the first letter of a word ("Cancer" is cancer), write a name of at least four letters in capitals
    (BERLIN), and write such an acronym as a word (Unesco).
    """
    if surface == name:
        return True
    long = len(surface) >= 4
    if long and surface.isupper():
        return True
    if long and name.isupper() and surface[0].isupper() and surface[1:].islower():
        return True
    starts_word = True
    for written, expected in zip(simplify(surface), simplify(name), strict=True):
        if written != expected and not (starts_word and expected.islower()):
            return False
        starts_word = not written.isalnum()
    return True
