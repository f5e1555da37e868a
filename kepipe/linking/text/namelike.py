"""Spans that look like names, whether or not the graph has them.

With NER: its named entities. Without: runs of capitalised words other than months and days, and in Chinese the
words that jieba tags as persons, places, organisations and other proper names.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from kepipe.linking.text.annotations import Annotations
from kepipe.linking.text.casing import Casing, capital_runs
from kepipe.linking.text.chinese_words import open_jieba
from kepipe.linking.text.words import is_chinese

_NAMES = ("nr", "ns", "nt", "nz")
"""Prefixes of jieba's tags for proper names (ICTCLAS: person, place, organisation, other)."""
_WORD = re.compile(r"([^ ]+) ?")
_CALENDAR = re.compile(
    r"(?:January|February|March|April|May|June|July|August|September|October|November|December|"
    r"(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day)(?: \d+)?"
)


def namelike(text: str, annotation: Annotations, casing: Casing) -> list[tuple[int, int]]:
    """Start and end of each name-like span; `casing` tells common words, whose capital at a sentence start is
    ignored."""
    if annotation.names is not None:
        return name_spans(text, annotation, casing)
    if is_chinese(text):
        return list(_chinese(text))
    return [span for span in _by_capitals(text, annotation, casing) if not _CALENDAR.fullmatch(text, *span)]


def _by_capitals(text: str, annotation: Annotations, casing: Casing) -> Iterator[tuple[int, int]]:
    """Runs of capitalised words, without the common words at the start of a sentence ("In Omaha")."""
    begins = {sentence.start for sentence in annotation.sentences}
    for begin, end in capital_runs(text):
        if begin in begins:
            begin = _skip_common(text, begin, end, casing)
        if end - begin > 1:
            yield begin, end


def _skip_common(text: str, begin: int, end: int, casing: Casing) -> int:
    """The start of the first word that is not common; `end` if all are common."""
    while word := _WORD.match(text, begin, end):
        if casing.common(word[1]) <= COMMON:
            return begin
        begin = word.end()
    return end


def _chinese(text: str) -> Iterator[tuple[int, int]]:
    """Proper names; the parts of a transliterated name (比尔·盖茨) form one span."""
    open_jieba()
    from jieba import posseg

    place = begin = end = 0
    linked = False
    for word, tag in posseg.cut(text):
        start = text.index(word, place)
        place = start + len(word)
        if tag.startswith(_NAMES):
            if not (linked and start == end + 1):
                if end - begin >= 2:
                    yield begin, end
                begin = start
            end = place
        linked = word in ("·", "•", "・") and start == end
    if end - begin >= 2:
        yield begin, end


NUMERIC_LABELS = frozenset(("CARDINAL", "ORDINAL", "DATE", "TIME", "QUANTITY", "PERCENT", "MONEY"))
"""NER labels of numbers and dates, which are not names."""
COMMON = 0.5
"""Words with a larger lower-case share (`Casing.common`) are not treated as names at the start of a sentence."""


def name_spans(text: str, annotation: Annotations, casing: Casing) -> list[tuple[int, int]]:
    """Name-like spans: named entities where NER ran, else runs of capitalised words."""
    if annotation.names is not None:
        return [(name.start, name.end) for name in annotation.names if name.label not in NUMERIC_LABELS]
    begins = {sentence.start for sentence in annotation.sentences}
    return [
        (start, end)
        for start, end in capital_runs(text)
        if end - start > 1 and not (start in begins and casing.common(text[start:end]) > COMMON)
    ]
