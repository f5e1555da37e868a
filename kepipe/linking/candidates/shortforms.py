"""What a text calls in full somewhere and elsewhere for short: "Beckett" and "Samuel Beckett", whichever comes first.

Two kinds of short forms are told: parts of a name that stand alone (the last or first name of a person, an organisation
without its last word, the initials of either), and abbreviations that the text defines, "long form (LF)" (Schwartz and
Hearst 2003). A short form has the entities of all full names of its text that fit as candidates, the one that stands
nearest before it first. Where a full name is of somebody whom the graph lacks, the short form is most likely no name of
the graph either (`outsiders`).
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from kepipe.arrays import Ints
from kepipe.linking.candidates.abbreviations import Abbreviation, abbreviations
from kepipe.linking.candidates.bare_names import bare_names
from kepipe.linking.candidates.matches import SHORT, Given, Matches
from kepipe.linking.kb.kinds import KINDS
from kepipe.linking.kb.knowledge import Knowledge
from kepipe.linking.text.batch import TextBatch

PART_PRIOR, DEFINED_PRIOR = 0.6, 0.95
"""What the entities of the full names share of p(entity | short form), where the graph knows others of that name."""
NEAREST = 0.7
"""What the one that stands nearest before has of that."""
MIN_LENGTH = 3
UNKNOWN = -1
_PERSON, _ORGANISATION = KINDS.index("person"), KINDS.index("organisation")
_TITLE = re.compile(
    r"(?:Mr|Mrs|Ms|Dr|Sir|Dame|Lord|Lady|President|Senator|Sen\.|Professor|Prof\.|Judge|Captain|General|Governor|King|"
    r"Queen|Prince|Princess|Pope|St|Minister|Chancellor|Colonel|Major|Sergeant|Rep\.|Gov\.)\.? "
)
_ENDING = re.compile(r"(?:'s|’s|')$")
Place = tuple[int, int]


class Full(NamedTuple):
    """Where a full name stands, and the row of its entity (UNKNOWN: the graph does not have it)."""

    start: int
    end: int
    row: int


@dataclass
class _Text:
    """What one text calls in full: by the word that stands for it, and which stretches stand for what."""

    called: dict[str, list[Full]] = field(default_factory=lambda: defaultdict(list))
    short: dict[Place, list[Given]] = field(default_factory=dict)
    outside: set[Place] = field(default_factory=set)


def add_short_forms(batch: TextBatch, matches: Matches, knowledge: Knowledge) -> Matches:
    """The matches of a batch, and the short forms of what its texts name in full, and bare names (`bare_names`)."""
    kinds = knowledge.kinds
    added: dict[Place, list[Given]] = {}
    outside: set[Place] = set()
    full = _full_names(batch, matches, kinds)
    for number, defined in _defined(batch, matches).items():
        text = full[number]
        for place, row in defined:
            if row == UNKNOWN:
                text.outside.add(place)
            else:
                text.short[place] = [Given(row, DEFINED_PRIOR, SHORT)]
    for number, text in full.items():
        if text.called:
            _refer(batch, number, text)
        added |= text.short
        outside |= text.outside
    added |= bare_names(batch, matches, knowledge, {**added, **dict.fromkeys(outside)})
    return _merge(batch, matches, added, outside - added.keys())


def _full_names(batch: TextBatch, matches: Matches, kinds: Ints) -> dict[int, _Text]:
    """By the number of the text, the full names in it, by what each may be called for short."""
    texts: dict[int, _Text] = defaultdict(_Text)
    firsts = matches.rows[matches.bounds[:-1]] if len(matches) else np.zeros(0, np.int64)
    called = np.isin(kinds[firsts], (_PERSON, _ORGANISATION))
    # The longest match that ends with a run, or with what NER takes for a name, and is of several words.
    names = _several_words(batch, np.unique(matches.ends[called]))
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
        for key in _keys(batch.text[start:end], _PERSON if person else int(kinds[row]) if row >= 0 else 0):
            texts[number].called[key].append(Full(start, end, row))
    return texts


def _several_words(batch: TextBatch, ends: Ints) -> list[tuple[int, int, bool]]:
    """Stretches of several words that look like a name, in order, and whether NER takes it for a person; of those that
    it does not, only what ends where a name of a person or an organisation does (`ends`)."""
    found: dict[Place, bool] = {}
    text = batch.text
    named = {
        (name.start + begin, name.end + begin): name.label
        for begin, annotation in zip(batch.begins.tolist(), batch.annotations, strict=False)
        for name in annotation.names or ()
    }
    runs = batch.runs
    for start, end in runs[np.isin(runs[:, 1], ends)].tolist():
        if " " in text[start:end]:
            found[start, end] = False
    for (start, end), label in named.items():
        if " " in text[start:end] and label in ("PERSON", "ORG"):
            found[start, end] = label == "PERSON"
    return [(*place, found[place]) for place in sorted(found)]


def _keys(name: str, kind: int) -> Iterator[str]:
    """What somebody or something of a kind is called for short."""
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
        shorter = " ".join(words[:-1])
        if len(shorter) > MIN_LENGTH and words[-2] not in ("of", "and", "the", "for", "&"):
            yield shorter


def _refer(batch: TextBatch, number: int, text: _Text) -> None:
    """Find what stands alone and is a part of a full name of its text."""
    for start, end in _alone(batch, number):
        surface = batch.text[start:end]
        given = text.called.get(surface)
        if not given or (start, end) in text.short or (start, end) in text.outside:
            continue
        before = [full for full in given if full.end <= start]
        nearest = before[-1] if before else given[0]
        others = {full.row for full in given} - {nearest.row, UNKNOWN}
        if nearest.row == UNKNOWN and not others:
            text.outside.add((start, end))
            continue
        share = NEAREST if others or nearest.row == UNKNOWN else 1.0
        candidates = [] if nearest.row == UNKNOWN else [Given(nearest.row, share * PART_PRIOR, SHORT)]
        left = (1 - share) / max(len(others), 1) if nearest.row != UNKNOWN else (1 - NEAREST) / len(others)
        text.short[start, end] = candidates + [Given(row, left * PART_PRIOR, SHORT) for row in sorted(others)]


def _alone(batch: TextBatch, number: int) -> Iterator[Place]:
    """Names of a text that may be short ones: what NER takes for a name, and runs of capitals, without titles."""
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


def _defined(batch: TextBatch, matches: Matches) -> Mapping[int, list[tuple[Place, int]]]:
    """By the number of the text, where each abbreviation stands that is defined in it, and what it means."""
    found: dict[int, list[tuple[Place, int]]] = {}
    for number, (text, begin) in enumerate(zip(batch.texts, batch.begins.tolist(), strict=False)):
        defined = list(abbreviations(text)) if "(" in text else []
        if defined:
            found[number] = list(_occurrences(text, begin, defined, matches))
    return found


def _occurrences(
    text: str, begin: int, defined: Iterable[Abbreviation], matches: Matches
) -> Iterator[tuple[Place, int]]:
    rows: dict[str, int] = {}
    for each in defined:
        row = _row_of(each.start + begin, each.end + begin, matches)
        if rows.get(each.short, UNKNOWN) == UNKNOWN:
            rows[each.short] = row
    either = "|".join(re.escape(short) for short in sorted(rows, key=len, reverse=True))
    for found in re.finditer(rf"(?<![\w-])(?:{either})(?![\w-])", text):
        yield (found.start() + begin, found.end() + begin), rows[found[0]]


def _row_of(start: int, end: int, matches: Matches) -> int:
    """What a long form means: the likeliest entity of the name that is the whole of it, or all but its first word."""
    low, high = np.searchsorted(matches.starts, (start, end)).tolist()
    for at in range(low, high):
        if matches.ends[at] == end and matches.starts[at] - start <= (end - start) // 3:
            return int(matches.rows[np.searchsorted(matches.owners, at)])
    return UNKNOWN


def _merge(
    batch: TextBatch, matches: Matches, added: Mapping[Place, list[Given]], outside: set[Place]
) -> Matches:
    """The matches with further candidates, which share `p` of each stretch that has others."""
    known = list(zip(matches.starts.tolist(), matches.ends.tolist(), strict=True))
    outside &= set(known)
    if not added and not outside:
        return matches
    spans = sorted({*known, *added})
    place = {span: number for number, span in enumerate(spans)}
    moved = np.asarray([place[span] for span in known], np.int64)
    owners = moved[matches.owners]
    taken = np.zeros(len(spans))
    for span, candidates in added.items():
        taken[place[span]] = sum(each.prior for each in candidates)
    new_owners = np.asarray([place[span] for span, each in added.items() for _ in each], np.int64)
    new_rows = np.asarray([given.row for each in added.values() for given in each], np.int64)
    new_priors = np.asarray([given.prior for each in added.values() for given in each], np.float64)
    alone = ~np.isin(new_owners, owners)
    new_priors[alone] /= taken[new_owners[alone]]
    twice = np.isin(owners * (1 << 40) + matches.rows, new_owners * (1 << 40) + new_rows)
    priors = matches.priors * (1 - taken)[owners]
    away = np.zeros(len(spans), np.bool_)
    away[[place[span] for span in outside]] = True
    owners = np.concatenate((owners[~twice], new_owners))
    rows = np.concatenate((matches.rows[~twice], new_rows))
    priors = np.concatenate((priors[~twice], new_priors))
    labels = np.concatenate((matches.labels[~twice], np.zeros(len(new_rows), np.bool_)))
    short = np.concatenate(
        (matches.short[~twice], [given.short for each in added.values() for given in each])
    )
    order = np.lexsort((-priors, owners))
    surfaces = dict(zip(known, matches.surfaces, strict=True))
    starts, ends = np.asarray(spans, np.int64).T
    return Matches(
        starts,
        ends,
        [surfaces.get(span, batch.text[slice(*span)]) for span in spans],
        owners[order],
        rows[order],
        priors[order],
        labels[order],
        short[order],
        away,
    )
