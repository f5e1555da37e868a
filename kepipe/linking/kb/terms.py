"""Name variants of domain terms: spelling, hyphens, possessives, word order, singular and plural, type numbers,
capitals.

"tumour" for tumor, "anaemia" for anemia, "ataxia-telangiectasia" for ataxia telangiectasia, "Wilms tumor" for Wilms'
tumor, "breast cancer" for cancer of the breast, "sickle cell anemia" for anemia, sickle cell, "type I" for type 1,
"Lesch-Nyhan" for Lesch-Nyhan syndrome, "hemophilia A" for Hemophilia A.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Iterator, Sequence

from kepipe.linking.kb.variants import plural

_SPELLINGS = tuple(
    (re.compile(american), british)
    for american, british in (
        (r"tumor", "tumour"), (r"emia\b", "aemia"), (r"emic\b", "aemic"), (r"\bhem(?=[aoi])", "haem"),
        (r"(?<=[a-z])hem(?=ang|at)", "haem"), (r"\besoph", "oesoph"), (r"\bedema", "oedema"), (r"rrhea\b", "rrhoea"),
        (r"\bestro", "oestro"), (r"\bpedi(?=at)", "paedi"), (r"\borthoped", "orthopaed"), (r"\bfetal", "foetal"),
        (r"color", "colour"), (r"\bleuk(?=em)", "leuc"), (r"fiber", "fibre"), (r"ization\b", "isation"),
    )
)  # fmt: skip
_POSSESSIVE = re.compile(r"(?P<who>\w)(?:'s|(?<=s)')(?= )")
_OF = re.compile(
    r"(?P<head>[a-z]+ )?(?P<noun>cancer|carcinoma|deficiency|disease|disorder|neoplasm|tumou?r) of (?:the )?"
    r"(?P<what>[^,]+)"
)
_OF_NOUN = re.compile(r"(?P<what>[^,]+) (?P<noun>cancer|carcinoma|deficiency|neoplasm|tumou?r)")
_INVERTED = re.compile(r"(?P<last>[^,]+), (?P<first>[^,]+)")
_TYPE = re.compile(r"(?P<name>.+?),? (?:type )?(?P<number>[1-9]|1\d|I{1,3}|IV|VI{0,3})(?P<letter>[A-Za-z]?)")
_EPONYM = re.compile(
    r"(?P<name>(?:von )?[A-Z][a-z]+(?:[ -][A-Z][a-z]+)+|von [A-Z][a-z]+) (?:syndrome|disease)"
)
_CAPITALISED = re.compile(r"(?<!\S)[A-Z][a-z]+(?:-[a-z]+)*(?![^\s,])")
_ROMAN = ("I", "II", "III", "IV", "V", "VI", "VII", "VIII")
_SKIPPED_IN_INITIALS, _MAX_INITIALS = frozenset(("of", "and", "the", "with", "in")), 6
CATEGORIES = frozenset(
    re.findall(
        r"\S+",
        "abnormality abnormalities agent anomaly compound condition conditions defect defects deficiency disease "
        "diseases disorder disorders drug drugs entity event finding gene genes process protein proteins "
        "substance symptom symptoms syndrome syndromes system",
    )
)
"""Category nouns, which are not mentions of a term when they stand alone."""
FUNCTION_WORDS = frozenset(
    re.findall(
        r"\S+",
        "a about an and after all are as associated at before both by due during for from had has have in is may not "
        "of on or other related same such than that the these this those to two type was were when which with without",
    )
)
_WORD = re.compile(r"[^\W_][\w'-]*")
_MAX_HYPHENATED_WORDS = 4
"""Maximum number of words of a name for which variants with a hyphen instead of a space are made."""


def term_spans(text: str, modifiers: Container[str], heads: Container[str]) -> list[tuple[int, int]]:
    """Spans that look like terms: words that modify terms of the graph, ending in the last word of one of its terms.

    A category noun alone ("disease") and spans without letters are left out.
    """
    spans: list[tuple[int, int]] = []
    start = end = last = -1

    def close() -> None:
        if end > start and text[start:end].lower() not in CATEGORIES:
            spans.append((start, end))

    for word in _WORD.finditer(text):
        low = word[0].lower()
        head, inside = low in heads, low in modifiers and low not in FUNCTION_WORDS
        if not (last >= 0 and text[last : word.start()] == " "):
            close()
            start = end = -1
        if head or inside:
            start = word.start() if start < 0 else start
            end = word.end() if head and any(map(str.isalpha, low)) else end
            last = word.end()
        else:
            close()
            start = end = last = -1
    close()
    return spans


def lower_case_words(names: Iterable[str]) -> frozenset[str]:
    """The words that occur in lower case in names of terms."""
    return frozenset(word for name in names for word in re.split(r"[ ,]+", name) if word.islower())


def term_variants(names: Sequence[str], lower: Container[str] = frozenset()) -> Iterator[str]:
    """Variants of the `names` of a term; some may already be among `names`. `lower`: the `lower_case_words` of the
    graph, which are no names of persons and places."""
    yield from _initials(names[0])
    for name in dict.fromkeys((*names, *(_without_capitals(name, lower) for name in names))):
        forms = [name]
        for form in (_POSSESSIVE.sub(r"\g<who>", name), *_reordered(name), *_numbered(name)):
            if form not in forms:
                forms.append(form)
        if match := _EPONYM.fullmatch(name):
            forms.append(match["name"])
        for form in forms:
            for written in (form, _singular(form), plural(form)):
                yield from filter(None, (written, *_hyphens(written), *_spellings(written)))


def _initials(name: str) -> Iterator[str]:
    """Initials of eponyms only: "DMD" for Duchenne muscular dystrophy, "VHL" for von Hippel-Lindau disease."""
    words = re.split(r"[ -]", _POSSESSIVE.sub(r"\g<who>", name))
    if not any(word[:1].isupper() for word in words[:-1]) or not all(word.isalpha() for word in words):
        return
    initials = "".join(word[0] for word in words if word not in _SKIPPED_IN_INITIALS).upper()
    if 2 < len(initials) <= _MAX_INITIALS:
        yield initials
    if words[-1] in CATEGORIES and 3 < len(initials) <= _MAX_INITIALS:
        yield initials[:-1]


def _without_capitals(name: str, lower: Container[str]) -> str:
    """ "hemophilia A" for Hemophilia A: words of `lower` lose their capital; eponyms are not among them."""
    return _CAPITALISED.sub(lambda word: word[0].lower() if word[0].lower() in lower else word[0], name)


def _reordered(name: str) -> Iterator[str]:
    if " of " in name and (match := _OF.fullmatch(name)):
        yield f"{match['what']} {match['head'] or ''}{match['noun']}"
    if match := _OF_NOUN.fullmatch(name):
        yield f"{match['noun']} of the {match['what']}"
        yield f"{match['noun']} of {match['what']}"
    if ", " in name and " and " not in name and (match := _INVERTED.fullmatch(name)):
        yield f"{match['first']} {match['last']}"


def _numbered(name: str) -> Iterator[str]:
    if match := _TYPE.fullmatch(name):
        number, letter = match["number"], match["letter"]
        if number.isdigit():
            others = (number, _ROMAN[int(number) - 1]) if int(number) <= len(_ROMAN) else (number,)
        else:
            others = (number, str(_ROMAN.index(number) + 1)) if number in _ROMAN else (number,)
        for other in others:
            yield f"{match['name']} type {other}{letter}"
            yield f"{match['name']} {other}{letter}"


def _singular(name: str) -> str:
    if name.endswith("ies") and len(name) > 4:
        return f"{name[:-3]}y"
    if name.endswith("s") and not name.endswith(("ss", "us", "is", "as", "os", "es")):
        return name[:-1]
    return ""


def _hyphens(name: str) -> Iterator[str]:
    if "-" in name:
        yield name.replace("-", " ")
    words = name.split(" ")
    if 1 < len(words) <= _MAX_HYPHENATED_WORDS:
        yield f"{words[0]}-{' '.join(words[1:])}"
        if len(words) > 2:
            yield f"{words[0]} {words[1]}-{' '.join(words[2:])}"


def _spellings(name: str) -> Iterator[str]:
    british = name
    for pattern, other in _SPELLINGS:
        british = pattern.sub(other, british)
    if british != name:
        yield british
    american = name
    for pattern, other in _BACK:
        american = pattern.sub(other, american)
    if american != name:
        yield american


_BACK = tuple(
    (re.compile(british), american)
    for british, american in (
        (r"tumour", "tumor"), (r"aemi(?=[ac]\b)", "emi"), (r"haem", "hem"), (r"\boesoph", "esoph"),
        (r"\boedema", "edema"), (r"rrhoea\b", "rrhea"), (r"\boestro", "estro"), (r"paed", "ped"),
        (r"\bfoetal", "fetal"), (r"colour", "color"), (r"\bleucaem", "leukem"), (r"fibre", "fiber"),
        (r"isation\b", "ization"),
    )
)  # fmt: skip
