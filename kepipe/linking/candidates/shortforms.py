"""Short forms of full names in the same text: "Beckett" and "Samuel Beckett", in either order.

There are two kinds: parts of a name (the last or first name of a person, an organisation without its last word, its
initials, a team's city or nickname), and abbreviations that the text defines, "long form (LF)" (Schwartz and Hearst
2003). The candidates of a short form are the entities of all full names in its text that it may shorten; the nearest
preceding one gets the largest prior. If the nearest full name has no entity in the graph and no other fits, the short
form is marked `Matches.outside`. What a short form looks like in Chinese is in `chinese_short_forms`.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from kepipe.arrays import Ints
from kepipe.linking.candidates import chinese_short_forms
from kepipe.linking.candidates.abbreviations import Abbreviation, abbreviations
from kepipe.linking.candidates.bare_names import bare_names
from kepipe.linking.candidates.matches import SHORT, AddedCandidate, Matches, SpanKey, merge
from kepipe.linking.kb.kinds import KINDS
from kepipe.linking.kb.knowledge import Knowledge
from kepipe.linking.kb.teams import NO_TEAM
from kepipe.linking.text.batch import TextBatch
from kepipe.linking.text.words import is_chinese

PART_PRIOR, DEFINED_PRIOR = 0.6, 0.95
"""Total share of p(entity | short form) of the entities of full names, where the surface is also a name of the graph:
of parts of a name, and of defined abbreviations."""
NEAREST_SHARE = 0.7
"""The part of `PART_PRIOR` that the nearest preceding full name gets."""
MIN_LENGTH = 3
UNKNOWN = -1
_PERSON, _ORGANISATION = KINDS.index("person"), KINDS.index("organisation")
_TITLE = re.compile(
    r"(?:Mr|Mrs|Ms|Dr|Sir|Dame|Lord|Lady|President|Senator|Sen\.|Professor|Prof\.|Judge|Captain|General|Governor|King|"
    r"Queen|Prince|Princess|Pope|St|Minister|Chancellor|Colonel|Major|Sergeant|Rep\.|Gov\.)\.? "
)
_ENDING = re.compile(r"(?:'s|’s|')$")


class FullName(NamedTuple):
    """The span of a full name, and the row of its entity (UNKNOWN: the graph does not have it)."""

    start: int
    end: int
    row: int


@dataclass
class _TextNames:
    """One text: full names by the short form that they may have; candidates of the short forms found in it; spans of
    short forms whose entity the graph lacks."""

    by_short_form: dict[str, list[FullName]] = field(default_factory=lambda: defaultdict(list))
    short: dict[SpanKey, list[AddedCandidate]] = field(default_factory=dict)
    outside: set[SpanKey] = field(default_factory=set)


def add_short_forms(batch: TextBatch, matches: Matches, knowledge: Knowledge) -> Matches:
    """The matches of a batch, extended by the short forms of full names in its texts and by `bare_names`."""
    kinds = knowledge.kinds
    added: dict[SpanKey, list[AddedCandidate]] = {}
    outside: set[SpanKey] = set()
    full = _full_names_by_text(batch, matches, kinds)
    for number, defined in _defined_abbreviations(batch, matches).items():
        text = full[number]
        for place, row in defined:
            if row == UNKNOWN:
                text.outside.add(place)
            else:
                text.short[place] = [AddedCandidate(row, DEFINED_PRIOR, SHORT)]
    chinese = {number for number, text in enumerate(batch.texts) if is_chinese(text)}
    for number in chinese:
        _add_chinese_names(batch, number, matches, kinds, full[number])
    for number, text in full.items():
        if text.by_short_form:
            spans = (
                chinese_short_forms.occurrences(batch, number, text.by_short_form)
                if number in chinese
                else _possible_short_forms(batch, number)
            )
            _resolve_short_forms(batch, spans, text)
        added |= text.short
        outside |= text.outside
    added |= bare_names(batch, matches, knowledge, {**added, **dict.fromkeys(outside)})
    return merge(batch, matches, added, outside - added.keys())


def _full_names_by_text(batch: TextBatch, matches: Matches, kinds: Ints) -> dict[int, _TextNames]:
    """The full names of each text, by text index; in `by_short_form` under each short form that they may have."""
    texts: dict[int, _TextNames] = defaultdict(_TextNames)
    firsts = matches.rows[matches.bounds[:-1]] if len(matches) else np.zeros(0, np.int64)
    is_person_or_org = np.isin(kinds[firsts], (_PERSON, _ORGANISATION))
    # A full name's entity is that of the longest match of several words that ends where the name does.
    names = _multiword_names(batch, np.unique(matches.ends[is_person_or_org]))
    if not names:
        return texts
    ends = np.asarray([end for _, end, _ in names], np.int64)
    by_end = np.argsort(matches.ends, kind="stable")
    low = np.searchsorted(matches.ends[by_end], ends, "left").tolist()
    high = np.searchsorted(matches.ends[by_end], ends, "right").tolist()
    numbers = batch.number(ends - 1).tolist()
    for (start, end, person), first, stop, number in zip(names, low, high, numbers, strict=True):
        covering = [at for at in by_end[first:stop].tolist() if matches.starts[at] >= start]
        best = min(covering, key=lambda at: int(matches.starts[at]), default=None)
        row = UNKNOWN
        if best is not None and " " in matches.surfaces[best]:
            start, row = int(matches.starts[best]), int(firsts[best])
        for key in _short_forms_of(
            batch.text[start:end], _PERSON if person else int(kinds[row]) if row >= 0 else 0
        ):
            texts[number].by_short_form[key].append(FullName(start, end, row))
    return texts


def _add_chinese_names(
    batch: TextBatch, number: int, matches: Matches, kinds: Ints, text: _TextNames
) -> None:
    """Add the full names of Chinese text `number`, and the abbreviations that it defines, to `text`."""
    low, high = np.searchsorted(matches.starts, batch.begins[number : number + 2]).tolist()
    bounds = matches.bounds
    longest: dict[int, int] = {}
    for at in range(low, high):  # by start, so that the first match with an end is the longest
        longest.setdefault(int(matches.ends[at]), at)
    for end, at in longest.items():
        start, row = int(matches.starts[at]), int(matches.rows[bounds[at]])
        for form in chinese_short_forms.short_forms(batch.text[start:end], int(kinds[row])):
            text.by_short_form[form].append(FullName(start, end, row))
    defined: dict[str, list[AddedCandidate]] = {}
    for short, match in chinese_short_forms.definitions(batch, number, matches, longest):
        row = int(matches.rows[bounds[match]])
        if not (short.isascii() and kinds[row] == _PERSON):  # 迈克尔·乔丹（NBA）
            defined[short] = [AddedCandidate(row, DEFINED_PRIOR, SHORT)]
    for span in chinese_short_forms.occurrences(batch, number, defined):
        text.short[span] = defined[batch.text[slice(*span)]]


def _multiword_names(batch: TextBatch, ends: Ints) -> list[tuple[int, int, bool]]:
    """Sorted spans of several words that look like a name, and whether NER labels them PERSON.

    These are named entities labelled PERSON or ORG, and runs of capitalised words that end at one of `ends`, the ends
    of matches whose likeliest candidate is a person or an organisation.
    """
    is_person: dict[SpanKey, bool] = {}
    text = batch.text
    named = {
        (name.start + begin, name.end + begin): name.label
        for begin, annotation in zip(batch.begins.tolist(), batch.annotations, strict=False)
        for name in annotation.names or ()
    }
    runs = batch.runs
    for start, end in runs[np.isin(runs[:, 1], ends)].tolist():
        if " " in text[start:end]:
            is_person[start, end] = False
    for (start, end), label in named.items():
        if " " in text[start:end] and label in ("PERSON", "ORG"):
            is_person[start, end] = label == "PERSON"
    return [(*span, is_person[span]) for span in sorted(is_person)]


def _short_forms_of(name: str, kind: int) -> Iterator[str]:
    """The short forms that the full name of an entity of this kind may have."""
    words = _ENDING.sub("", name).split()
    if len(words) < 2:
        return
    if kind == _PERSON:
        last = words[-2] if words[-1].rstrip(".") in ("Jr", "Sr", "II", "III") else words[-1]
        yield from (word for word in dict.fromkeys((last, words[0])) if len(word) >= MIN_LENGTH)
    elif kind == _ORGANISATION:
        initials = "".join(word[0] for word in words if word[0].isupper())
        if len(initials) >= MIN_LENGTH:
            yield initials
        yield from _parts_of_organisation(words)


def _parts_of_organisation(words: Sequence[str]) -> Iterator[str]:
    """An organisation without its last word ("Dallas"). If its members are named so too, as those of teams are: the
    last word or two ("Cowboys", "Maple Leafs"), and the name without them ("Toronto")."""
    members = words[-1].endswith(("s", "Sox")) and not NO_TEAM.fullmatch(words[-1])
    for cut in range(max(1, len(words) - 2), len(words)):
        rest, last = " ".join(words[:cut]), " ".join(words[cut:])
        if words[cut - 1] in ("of", "and", "the", "for", "&"):
            continue
        if len(rest) > MIN_LENGTH and (members or cut == len(words) - 1):
            yield rest
        if len(last) > MIN_LENGTH and members and words[cut][0].isupper():
            yield last


def _resolve_short_forms(batch: TextBatch, spans: Iterable[SpanKey], text: _TextNames) -> None:
    """Add the candidates of those of `spans` that are short forms of the text's full names to `text.short`, or to
    `text.outside`."""
    for start, end in spans:
        surface = batch.text[start:end]
        full_names = text.by_short_form.get(surface)
        if not full_names or (start, end) in text.short or (start, end) in text.outside:
            continue
        if any(full.start <= start and end <= full.end for full in full_names):
            continue
        before = [full for full in full_names if full.end <= start]
        nearest = before[-1] if before else full_names[0]
        others = {full.row for full in full_names} - {nearest.row, UNKNOWN}
        if nearest.row == UNKNOWN and not others:
            text.outside.add((start, end))
            continue
        share = NEAREST_SHARE if others or nearest.row == UNKNOWN else 1.0
        candidates = (
            [] if nearest.row == UNKNOWN else [AddedCandidate(nearest.row, share * PART_PRIOR, SHORT)]
        )
        left = (
            (1 - share) / max(len(others), 1) if nearest.row != UNKNOWN else (1 - NEAREST_SHARE) / len(others)
        )
        text.short[start, end] = candidates + [
            AddedCandidate(row, left * PART_PRIOR, SHORT) for row in sorted(others)
        ]


def _possible_short_forms(batch: TextBatch, number: int) -> Iterator[SpanKey]:
    """Spans of a text that may be short forms: named entities and runs of capitalised words, without titles and 's."""
    begin, stop = batch.begins[number : number + 2].tolist()
    runs = batch.runs
    low, high = np.searchsorted(runs[:, 0], (begin, stop)).tolist()
    places = {(start, end) for start, end in runs[low:high].tolist()}
    places |= {
        (name.start + begin, name.end + begin)
        for name in batch.annotations[number].names or ()
        if name.label in ("PERSON", "ORG", "GPE", "NORP", "PRODUCT", "LOC", "FAC")
    }
    sentences = {sentence.start + begin for sentence in batch.annotations[number].sentences}
    for start, end in list(places):
        if start in sentences and (first := batch.text.find(" ", start, end)) > 0:
            places.add((first + 1, end))  # "Then Ford spoke"
    for start, end in sorted(places):
        surface = batch.text[start:end]
        if ending := _ENDING.search(surface):
            end -= len(ending[0])
        if title := _TITLE.match(surface):
            start += len(title[0])
        if start < end:
            yield start, end


def _defined_abbreviations(batch: TextBatch, matches: Matches) -> Mapping[int, list[tuple[SpanKey, int]]]:
    """By text index, the occurrences of each abbreviation that the text defines, and the row of its entity."""
    occurrences: dict[int, list[tuple[SpanKey, int]]] = {}
    for number, (text, begin) in enumerate(zip(batch.texts, batch.begins.tolist(), strict=False)):
        defined = list(abbreviations(text)) if "(" in text else []
        if defined:
            occurrences[number] = list(_occurrences(text, begin, defined, matches))
    return occurrences


def _occurrences(
    text: str, begin: int, defined: Iterable[Abbreviation], matches: Matches
) -> Iterator[tuple[SpanKey, int]]:
    rows: dict[str, int] = {}
    for each in defined:
        row = _row_of(each.start + begin, each.end + begin, matches)
        if rows.get(each.short, UNKNOWN) == UNKNOWN:
            rows[each.short] = row
    alternatives = "|".join(re.escape(short) for short in sorted(rows, key=len, reverse=True))
    for match in re.finditer(rf"(?<![\w-])(?:{alternatives})(?![\w-])", text):
        yield (match.start() + begin, match.end() + begin), rows[match[0]]


def _row_of(start: int, end: int, matches: Matches) -> int:
    """The likeliest entity of a long form: that of the first match that ends with it and spans at least two thirds of
    it; UNKNOWN if there is none."""
    low, high = np.searchsorted(matches.starts, (start, end)).tolist()
    for at in range(low, high):
        if matches.ends[at] == end and matches.starts[at] - start <= (end - start) // 3:
            return int(matches.rows[np.searchsorted(matches.owners, at)])
    return UNKNOWN
