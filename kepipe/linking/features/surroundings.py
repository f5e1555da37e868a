"""Match features, independent of the candidates: case, surrounding words, and tagger, parser and NER output.

A feature that is unavailable because no tagger or NER ran is 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from kepipe.arrays import Bools, Floats, Ints
from kepipe.linking.candidates.matches import Matches
from kepipe.linking.text.batch import TextBatch
from kepipe.linking.text.casing import Casing

Features = Mapping[str, npt.NDArray[Any]]
"""Feature name → its value for each match [M]."""

LABELS: Mapping[str, str] = {
    "GPE": "place", "LOC": "place", "FAC": "place", "PERSON": "person", "ORG": "organisation", "NORP": "people",
    "LANGUAGE": "language", "WORK_OF_ART": "work", "EVENT": "work", "PRODUCT": "work", "LAW": "work",
}  # fmt: skip
"""OntoNotes labels → groups; all others, such as numbers and dates, are "other"."""
GROUPS = ("none", "place", "person", "organisation", "people", "language", "work", "other")

MATCH_FEATURES = (
    "tagged", "capital", "common", "capital_common", "sentence_start", "article", "log_words", "short", "digit",
    "log_candidates", "inside_longer", "run_left", "run_right", "echo", "after_unknown", "hyphen",
    "phrase", "phrase_left", "phrase_right", "phrase_cut", "proper", "proper_left", "proper_right",
    "name_same", "name_inside", "name_around", "name_across", *(f"name_{group}" for group in GROUPS[1:]),
)  # fmt: skip


def describe_matches(batch: TextBatch, matches: Matches, casing: Casing) -> tuple[Floats, Ints]:
    """Features [len(MATCH_FEATURES), M] of the matches, and the NER group of each: [M]."""
    unspaced = np.fromiter((surface[0] >= "\u0e00" for surface in matches.surfaces), bool, len(matches))
    relation, groups = _ner_relations(batch, matches)
    features = {
        **_surface_features(batch, matches, casing, unspaced),
        **_syntax_features(batch, matches, unspaced),
        "name_same": relation == SAME,
        "name_inside": relation == INSIDE,
        "name_around": relation == AROUND,
        "name_across": relation == ACROSS,
        **{f"name_{name}": groups == group for group, name in enumerate(GROUPS)},
    }
    columns = [features[name] for name in MATCH_FEATURES]
    return np.stack(columns, dtype=np.float64, casting="unsafe"), groups


def _surface_features(batch: TextBatch, matches: Matches, casing: Casing, unspaced: Bools) -> Features:
    """Features of the characters of a match and around it; `unspaced` [M]: in a script without spaces."""
    starts, ends, surfaces, codes = matches.starts, matches.ends, matches.surfaces, batch.codes
    number = len(matches)
    # A script without case gives no evidence against a name.
    capital = np.fromiter((surface[0].isupper() for surface in surfaces), float, number)
    capital[unspaced] = 1.0
    common = np.fromiter(map(casing.common, surfaces), float, number)
    sentence = np.isin(starts, batch.spans(annotation.sentences for annotation in batch.annotations)[:, 0])
    article = np.fromiter((surface.startswith("the ") for surface in surfaces), float, number)
    runs = batch.runs
    _, run_left, run_right = _span_position(starts, ends, runs)
    return {
        "capital": capital,
        "common": common,
        "capital_common": capital * common,
        "sentence_start": capital * sentence,
        "article": article,
        "log_words": np.log([1 + surface.count(" ") for surface in surfaces]),
        "short": ends - starts <= np.where(unspaced, 1, 3),
        "digit": np.fromiter(
            (surface[0].isdigit() and " " not in surface for surface in surfaces), float, number
        ),
        "log_candidates": np.log(np.bincount(matches.owners, minlength=number)),
        "inside_longer": _inside_longer(starts, np.where(article > 0, starts, ends)),
        "run_left": run_left,
        "run_right": run_right,
        "echo": _echoes(batch, matches, runs),
        "after_unknown": capital * _after_unknown(codes, matches, runs),
        "hyphen": (codes[starts - 1] == ord("-")) | (codes[ends] == ord("-")),
    }


def _syntax_features(batch: TextBatch, matches: Matches, unspaced: Bools) -> Features:
    """Features of the position of a match relative to noun phrases (parser) and runs of proper nouns (tagger)."""
    starts, ends, annotations = matches.starts, matches.ends, batch.annotations
    tagged = np.fromiter(
        (annotation.proper is not None for annotation in annotations), bool, len(annotations)
    )
    phrases = batch.spans(annotation.phrases for annotation in annotations)
    phrase, phrase_left, phrase_right = _span_position(starts, ends, _without_articles(batch.text, phrases))
    runs = batch.spans(annotation.proper or () for annotation in annotations)
    proper, proper_left, proper_right = _span_position(starts, ends, runs)
    return {
        "tagged": tagged[batch.number(starts)],
        "phrase": phrase,
        "phrase_left": phrase_left,
        "phrase_right": phrase_right,
        "phrase_cut": unspaced & (phrase == 0) & (splits_span(starts, phrases) | splits_span(ends, phrases)),
        "proper": proper,
        "proper_left": proper_left,
        "proper_right": proper_right,
    }


def _ner_relations(batch: TextBatch, matches: Matches) -> tuple[Ints, Ints]:
    """The relation of each match to a named entity (`APART` …), and the group of that entity's label: both [M]."""
    spans = batch.spans(annotation.names or () for annotation in batch.annotations)
    relation, name = _relate(matches.starts, matches.ends, spans)
    labels = (name.label for annotation in batch.annotations for name in annotation.names or ())
    groups = [GROUPS.index(LABELS.get(label, "other")) for label in labels]
    return relation, np.asarray([*groups, 0], np.int64)[name]  # −1, no name, is the last


def name_relations(batch: TextBatch, matches: Matches) -> Ints:
    """The relation of each match to a named entity (`APART` …): [M]; APART where no NER ran."""
    return _ner_relations(batch, matches)[0]


_ARTICLES = ("the ", "a ", "an ", "his ", "her ", "their ", "its ", "this ", "that ")


def _without_articles(text: str, phrases: Ints) -> Ints:
    """Noun phrases without their leading article or possessive pronoun."""
    heads = (text[start : start + 6].lower() for start in phrases[:, 0].tolist())
    skipped = [next((len(article) for article in _ARTICLES if head.startswith(article)), 0) for head in heads]
    bare = phrases[:, 0] + np.asarray(skipped, np.int64)
    return np.column_stack((np.where(bare < phrases[:, 1], bare, phrases[:, 0]), phrases[:, 1]))


def _echoes(batch: TextBatch, matches: Matches, runs: Ints) -> Floats:
    """Whether a one-word match is the first or last word of a longer capitalised run elsewhere in the text.

    "Paul" in a text with "Paul Samuelson" is hardly Paul the town.
    """
    parts: set[tuple[int, str]] = set()
    for (start, end), number in zip(runs.tolist(), batch.number(runs[:, 0]).tolist(), strict=True):
        first, *rest = batch.text[start:end].split(" ")
        if rest:
            parts |= {(number, first), (number, rest[-1])}
    named = zip(batch.number(matches.starts).tolist(), matches.surfaces, strict=True)
    return np.fromiter((name in parts for name in named), float, len(matches))


def _after_unknown(codes: npt.NDArray[np.uint32], matches: Matches, runs: Ints) -> Bools:
    """Whether a match is preceded by a comma and a capitalised run that is not a match: "Noank, Connecticut"."""
    ends = runs[:, 1]
    comma = (codes[ends] == ord(",")) & (codes[ends + 1] == ord(" "))
    return np.isin(matches.starts, ends[comma & ~np.isin(ends, matches.ends)] + 2)


APART, SAME, INSIDE, AROUND, ACROSS = range(5)


def _relate(starts: Ints, ends: Ints, spans: Ints) -> tuple[Ints, Ints]:
    """The relation of each match to the first span it overlaps (spans [n, 2] are sorted and disjoint), and the index of
    that span, −1 if there is none."""
    if not len(spans):
        return np.full(len(starts), APART), np.full(len(starts), -1)
    span_starts, span_ends = spans.T
    first = np.searchsorted(span_ends, starts, "right")
    place = np.minimum(first, len(spans) - 1)
    touches = (first < len(spans)) & (span_starts[place] < ends)
    same = (span_starts[place] == starts) & (span_ends[place] == ends)
    inside = (span_starts[place] <= starts) & (span_ends[place] >= ends)
    cuts = splits_span(starts, spans) | splits_span(ends, spans)
    relation = np.select([~touches, same, inside, cuts], [APART, SAME, INSIDE, ACROSS], AROUND)
    return relation, np.where(touches, place, -1)


def _span_position(starts: Ints, ends: Ints, spans: Ints) -> tuple[Bools, Bools, Bools]:
    """Whether each match lies within a span, whether a span continues to its left, and whether one does to its right.

    The last two also hold for matches that only overlap a span: "University of Pennsylvania" is not within the run
    "Lock Haven University", but splits it.
    """
    relation, _ = _relate(starts, ends, spans)
    return (relation == SAME) | (relation == INSIDE), splits_span(starts, spans), splits_span(ends, spans)


def splits_span(offsets: Ints, spans: Ints) -> Bools:
    """Whether each offset lies strictly inside a span, so that a name that starts or ends there would split it."""
    if not len(spans):
        return np.zeros(len(offsets), np.bool_)
    span_starts, span_ends = spans.T
    before = np.searchsorted(span_starts, offsets, "left") - 1
    splits: Bools = (before >= 0) & (offsets < span_ends[before])
    return splits


def _inside_longer(starts: Ints, ends: Ints) -> Floats:
    """Whether each match is a proper part of another match; matches are sorted by start, then end."""
    if not len(starts):
        return np.zeros(0)
    reach = np.maximum.accumulate(ends)
    before = np.concatenate(([-1], reach[:-1])) >= ends
    last_of_start = np.searchsorted(starts, starts, "right") - 1
    return (before | (ends[last_of_start] > ends)).astype(float)
