"""Short forms of Chinese names in the same text: 奥巴马 of 贝拉克·奥巴马, 北大 of 北京大学, and defined abbreviations.

Chinese has no capitals and no spaces, so that full names are the matches of the graph's names, and a short form is
looked for as a string. One of two characters, such as 北大, counts only where it does not split a word (jieba's, in the
annotations): 中人 is not in 其中人.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from functools import lru_cache
from typing import NamedTuple

from kepipe.linking.candidates.matches import Matches, SpanKey
from kepipe.linking.kb.kinds import KINDS
from kepipe.linking.text.batch import TextBatch
from kepipe.linking.text.chinese_words import open_jieba

_PERSON = KINDS.index("person")
_DOTS = re.compile("[·•・‧]")
_LAST_WORDS = (
    *("大学", "学院", "医院", "银行", "公司", "集团", "组织", "委员会", "协会", "联盟", "俱乐部"),
    *("电视台", "通讯社", "出版社", "研究所", "研究院", "基金会"),
)
"""Last words of organisations' names."""
_PROPER = frozenset(("nz", "nr", "nrt", "nrfg", "nt"))
"""jieba's tags of proper names other than places."""
_BRACKETED = re.compile(
    r"[（(](?P<said>(?:以下|下文)?(?:简称|下称)(?:为)?[:：]?)?[“「『\"']?"
    r"(?P<short>[㐀-䶿一-鿿]{2,8}|[A-Z][A-Za-z]{1,7})[”」』\"']?[)）]"
)


class DefinedName(NamedTuple):
    """A short form that a text defines, and the index of the match that is its long form."""

    short: str
    match: int


@lru_cache(maxsize=1 << 16)
def short_forms(name: str, kind: int) -> tuple[str, ...]:
    """The short forms that a Chinese name of an entity of this kind may have.

    Of a person, the part after the last dot. Of an organisation of two words, the first characters of both (北大), and
    the first word if it is a proper name, but no place (清华 of 清华大学); of more words, their first characters before
    the last word (世卫组织).
    """
    if _DOTS.search(name):
        last = _DOTS.split(name)[-1]
        return (last,) if kind in (_PERSON, 0) and len(last) >= 2 else ()
    ending = next((word for word in _LAST_WORDS if name.endswith(word) and len(name) > len(word) + 1), None)
    if ending is None:
        return ()
    rest = name[: -len(ending)]
    words = _words(rest)
    initials = "".join(word[0] for word in words)
    if len(words) > 1:
        return (initials + ending,)
    return (rest, initials + ending[0]) if _is_proper(rest) else (initials + ending[0],)


def _words(name: str) -> list[str]:
    """The shortest words of the dictionary of which the name consists; jieba's words where there are none."""
    words: list[str] = []
    pieces = open_jieba().lcut_for_search(name)
    place = 0
    while place < len(name):
        word = min(
            (piece for piece in pieces if name.startswith(piece, place)), key=len, default=name[place:]
        )
        words.append(word)
        place += len(word)
    return words


def _is_proper(word: str) -> bool:
    """Whether jieba tags the word as a name other than a place, or does not know it."""
    open_jieba()
    from jieba import posseg

    tags = [tag for _, tag in posseg.cut(word)]
    return len(tags) == 1 and (tags[0] in _PROPER or word not in posseg.dt.word_tag_tab)


def occurrences(batch: TextBatch, number: int, forms: Collection[str]) -> Iterator[SpanKey]:
    """The spans of text `number` that are one of `forms`, the longest at each place; those of two characters only where
    they split no word."""
    if not forms:
        return
    begin, stop = batch.begins[number : number + 2].tolist()
    phrases = batch.annotations[number].phrases
    within = {place + begin for phrase in phrases for place in range(phrase.start + 1, phrase.end)}
    alternatives = "|".join(map(re.escape, sorted(forms, key=lambda form: (-len(form), form))))
    for found in re.compile(alternatives).finditer(batch.text, begin, stop - 1):
        start, end = found.span()
        if end - start > 2 or (start not in within and end not in within):
            yield start, end


def definitions(
    batch: TextBatch, number: int, matches: Matches, spans: Mapping[int, int]
) -> Iterator[DefinedName]:
    """The abbreviations that text `number` defines in brackets after a name of the graph.

    世界卫生组织（世卫组织）: the characters of the short form occur in this order in the name, or it is in Latin
    letters, or 简称 says so. `spans`: the longest match that ends at each batch offset.
    """
    begin, stop = batch.begins[number : number + 2].tolist()
    for found in _BRACKETED.finditer(batch.text, begin, stop - 1):
        match = spans.get(found.start())
        if match is None:
            continue
        long, short = batch.text[matches.starts[match] : found.start()], found["short"]
        letters = iter(long)
        if len(short) < len(long) and (
            found["said"] or short.isascii() or all(letter in letters for letter in short)
        ):
            yield DefinedName(short, match)
