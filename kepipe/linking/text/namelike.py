"""What looks like a name in a text, whether or not a graph knows it.

Where NER ran, it decides. Else: runs of capitals, without months and days, and in Chinese the words that jieba takes
for persons, places, organisations and other proper names.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from kepipe.linking.text.annotations import Annotations
from kepipe.linking.text.casing import Casing, capital_runs
from kepipe.linking.text.chinese_words import open_jieba
from kepipe.linking.text.words import is_chinese

_NAMES = ("nr", "ns", "nt", "nz")
"""jieba's tags of proper names begin so (ICTCLAS: person, place, organisation, other)."""
_WORD = re.compile(r"([^ ]+) ?")
_CALENDAR = re.compile(
    r"(?:January|February|March|April|May|June|July|August|September|October|November|December|"
    r"(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day)(?: \d+)?"
)


def namelike(text: str, annotation: Annotations, casing: Casing) -> list[tuple[int, int]]:
    """Start and end of each; `casing` knows which words are common and mean nothing at the beginning of a sentence."""
    if annotation.names is not None:
        return name_spans(text, annotation, casing)
    if is_chinese(text):
        return list(_chinese(text))
    return [span for span in _by_capitals(text, annotation, casing) if not _CALENDAR.fullmatch(text, *span)]


def _by_capitals(text: str, annotation: Annotations, casing: Casing) -> Iterator[tuple[int, int]]:
    """Runs of capitals, without the common words that begin a sentence ("In Omaha")."""
    begins = {sentence.start for sentence in annotation.sentences}
    for begin, end in capital_runs(text):
        if begin in begins:
            begin = _skip_common(text, begin, end, casing)
        if end - begin > 1:
            yield begin, end


def _skip_common(text: str, begin: int, end: int, casing: Casing) -> int:
    """Where the first word begins that is not common; `end` where all are."""
    while word := _WORD.match(text, begin, end):
        if casing.common(word[1]) <= COMMON:
            return begin
        begin = word.end()
    return end


def _chinese(text: str) -> Iterator[tuple[int, int]]:
    """Proper names; the parts of a foreign one, 比尔·盖茨, together."""
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


COUNTED = frozenset(("CARDINAL", "ORDINAL", "DATE", "TIME", "QUANTITY", "PERCENT", "MONEY"))
"""Labels of NER that are no names."""
COMMON = 0.5
"""A capital at the beginning of a sentence tells nothing of words that are commoner than this (`Casing.common`)."""


def name_spans(text: str, annotation: Annotations, casing: Casing) -> list[tuple[int, int]]:
    """What looks like a name: what NER takes for one, else runs of capitals."""
    if annotation.names is not None:
        return [(name.start, name.end) for name in annotation.names if name.label not in COUNTED]
    begins = {sentence.start for sentence in annotation.sentences}
    return [
        (start, end)
        for start, end in capital_runs(text)
        if end - start > 1 and not (start in begins and casing.common(text[start:end]) > COMMON)
    ]
