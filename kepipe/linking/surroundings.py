"""How a name stands in its text: case, words around it, what tagger, parser and NER say; whatever it may mean.

A feature that cannot be known, because no tagger or NER ran, is 0.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from kepipe.linking.casing import Casing, capital_runs
from kepipe.linking.gazetteer import Matches
from kepipe.linking.reading import Reading

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

LABELS: Mapping[str, str] = {
    "GPE": "place", "LOC": "place", "FAC": "place", "PERSON": "person", "ORG": "organisation", "NORP": "people",
    "LANGUAGE": "people", "WORK_OF_ART": "work", "EVENT": "work", "PRODUCT": "work", "LAW": "work",
}  # fmt: skip
"""OntoNotes' labels, grouped; numbers, dates and the rest are "other"."""
GROUPS = ("none", "place", "person", "organisation", "people", "work", "other")

MATCH_FEATURES = (
    "tagged", "capital", "common", "capital_common", "sentence_start", "article", "log_words", "short", "digit",
    "log_candidates", "inside_longer", "run_left", "run_right", "echo", "after_unknown", "hyphen",
    "phrase", "phrase_left", "phrase_right", "phrase_cut", "proper", "proper_left", "proper_right",
    "name_same", "name_inside", "name_across", *(f"name_{group}" for group in GROUPS[1:]),
)  # fmt: skip


def describe_matches(text: str, matches: Matches, reading: Reading, casing: Casing) -> tuple[Floats, Ints]:
    """Features [M, len(MATCH_FEATURES)] of the matches, and the NER group of each: [M]."""
    starts, ends, surfaces = matches.starts, matches.ends, matches.surfaces
    unspaced = np.fromiter((surface[0] >= "\u0e00" for surface in surfaces), bool, len(surfaces))
    # Scripts without case cannot speak against a name by it.
    capital = np.fromiter((surface[0].isupper() for surface in surfaces), float, len(surfaces))
    capital[unspaced] = 1.0
    known = {surface: casing.common(surface) for surface in set(surfaces)}
    common = np.fromiter((known[surface] for surface in surfaces), float, len(surfaces))
    sentence = np.isin(starts, [span.start for span in reading.sentences])
    runs = capital_runs(text)
    _, run_left, run_right = _inside(starts, ends, runs)
    phrase, phrase_left, phrase_right = _inside(starts, ends, _without_articles(text, reading.phrases))
    proper, proper_left, proper_right = _inside(starts, ends, [span[:2] for span in reading.proper or ()])
    names = reading.names or ()
    relation, name = _against(starts, ends, [span[:2] for span in names])
    codes = [GROUPS.index(LABELS.get(span.label, "other")) for span in names]
    groups = np.asarray([*codes, 0], np.int64)[name]  # −1, no name, is the last
    number = len(surfaces)
    article = np.fromiter((surface.startswith("the ") for surface in surfaces), float, number)
    joined = [
        text[start - 1 : start] == "-" or text[end : end + 1] == "-" for start, end in _pairs(starts, ends)
    ]
    features = (
        np.full(number, reading.proper is not None),
        capital,
        common,
        capital * common,
        capital * sentence,
        article,
        np.log([1 + surface.count(" ") for surface in surfaces]),
        ends - starts <= np.where(unspaced, 1, 3),
        np.fromiter((surface[0].isdigit() for surface in surfaces), float, len(surfaces)),
        np.log(np.bincount(matches.owners, minlength=len(matches))),
        _inside_longer(starts, np.where(article > 0, starts, ends)),
        run_left,
        run_right,
        _echoes(text, matches, runs),
        capital * _after_unknown(text, matches, runs),
        np.asarray(joined, float),
        phrase,
        phrase_left,
        phrase_right,
        unspaced & (phrase == 0) & (_splits(starts, reading.phrases) | _splits(ends, reading.phrases)),
        proper,
        proper_left,
        proper_right,
        relation == SAME,
        relation == INSIDE,
        relation == ACROSS,
        *(groups == number for number in range(1, len(GROUPS))),
    )
    return np.column_stack(features).astype(np.float64).reshape(len(matches), len(MATCH_FEATURES)), groups


_ARTICLES = ("the ", "a ", "an ", "his ", "her ", "their ", "its ", "this ", "that ")


def _without_articles(text: str, phrases: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Noun phrases without the article or possessive they begin with."""
    bare = []
    for start, end in phrases:
        first = text[start : start + 6].lower()
        skipped = next((len(article) for article in _ARTICLES if first.startswith(article)), 0)
        bare.append((start + skipped, end) if start + skipped < end else (start, end))
    return bare


def _echoes(text: str, matches: Matches, runs: Sequence[tuple[int, int]]) -> Floats:
    """Whether a name of one word stands elsewhere in the text as the first or last word of a longer run of capitals.

    "Paul" after "Paul Samuelson" is hardly Paul the town.
    """
    parts: set[str] = set()
    for start, end in runs:
        first, *rest = text[start:end].split(" ")
        if rest:
            parts |= {first, rest[-1]}
    return np.fromiter((surface in parts for surface in matches.surfaces), float, len(matches))


def _after_unknown(text: str, matches: Matches, runs: Sequence[tuple[int, int]]) -> Floats:
    """Whether an unknown run of capitals and a comma stand before: "Noank, Connecticut"."""
    ends = set(matches.ends.tolist())
    unknown = {end + 2 for _, end in runs if text[end : end + 2] == ", " and end not in ends}
    return np.fromiter((start in unknown for start in matches.starts.tolist()), float, len(matches))


def _pairs(starts: Ints, ends: Ints) -> zip[tuple[int, int]]:
    return zip(starts.tolist(), ends.tolist(), strict=True)


APART, SAME, INSIDE, ACROSS = range(4)


def _against(starts: Ints, ends: Ints, spans: Sequence[tuple[int, int]]) -> tuple[Ints, Ints]:
    """How each match stands to the first span it touches (of spans in order, apart), and which: −1 none."""
    if not spans:
        return np.full(len(starts), APART), np.full(len(starts), -1)
    span_starts, span_ends = np.asarray(spans, np.int64).T
    first = np.searchsorted(span_ends, starts, "right")
    place = np.minimum(first, len(spans) - 1)
    touches = (first < len(spans)) & (span_starts[place] < ends)
    same = (span_starts[place] == starts) & (span_ends[place] == ends)
    inside = (span_starts[place] <= starts) & (span_ends[place] >= ends)
    relation = np.select([~touches, same, inside], [APART, SAME, INSIDE], ACROSS)
    return relation, np.where(touches, place, -1)


def _inside(starts: Ints, ends: Ints, spans: Sequence[tuple[int, int]]) -> tuple[Floats, Floats, Floats]:
    """Whether each match is within a span, and whether that span goes on to its left and to its right."""
    relation, place = _against(starts, ends, spans)
    within = (relation == SAME) | (relation == INSIDE)
    if not spans:
        return within.astype(float), np.zeros(len(starts)), np.zeros(len(starts))
    span_starts, span_ends = np.asarray(spans, np.int64).T
    left, right = within & (span_starts[place] < starts), within & (span_ends[place] > ends)
    return within.astype(float), left.astype(float), right.astype(float)


def _splits(places: Ints, spans: Sequence[tuple[int, int]]) -> npt.NDArray[np.bool_]:
    """Whether each place lies within a span and not at its ends: a name that cuts a word in two."""
    if not spans:
        return np.zeros(len(places), np.bool_)
    span_starts, span_ends = np.asarray(spans, np.int64).T
    before = np.searchsorted(span_starts, places, "left") - 1
    splits: npt.NDArray[np.bool_] = (before >= 0) & (places < span_ends[before])
    return splits


def _inside_longer(starts: Ints, ends: Ints) -> Floats:
    """Whether another match covers this one and more; matches come by start, then end."""
    if not len(starts):
        return np.zeros(0)
    reach = np.maximum.accumulate(ends)
    before = np.concatenate(([-1], reach[:-1])) >= ends
    last_of_start = np.searchsorted(starts, starts, "right") - 1
    return (before | (ends[last_of_start] > ends)).astype(float)
