"""Tagging: a label for each word, of which F1 counts whole spans with their type.

Read are TSV files with a header `text_a`, `label`, words and labels each separated by blanks (K-BERT's), and the
two columns of CoNLL: a word and its label a line, a blank line after each sentence.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kepipe.arrays import Floats
from kepipe.data.document import Span
from kepipe.data.line_readers import columns, text_lines
from kepipe.finetuning.examples import Example, from_words
from kepipe.finetuning.label_output import rounded
from kepipe.finetuning.metrics import Metric, f1_of_counts, share
from kepipe.finetuning.output import Labels
from kepipe.finetuning.task import ParsedMarkup, Task
from kg.problems import Problems

OUTSIDE = "O"


def read(file: Path, problems: Problems) -> Iterator[Example]:
    """Sentences whose spans are their words."""
    _, first = next(text_lines(file, Problems()), (1, ""))
    if "text_a" in first.split("\t"):
        return _table(file, problems)
    return _conll(file, problems)


def _table(file: Path, problems: Problems) -> Iterator[Example]:
    for number, cells in columns(file, problems, ["text_a", "label"]):
        words, labels = cells["text_a"].split(), cells["label"].split()
        if len(words) != len(labels) or not words:
            problems.add(file, number, f"{len(words)} words and {len(labels)} labels: expected one for each")
        elif bad := _bad(labels):
            problems.add(file, number, bad)
        else:
            yield _sentence(words, labels, f"{file.stem}:{number}")


def _conll(file: Path, problems: Problems) -> Iterator[Example]:
    """A word and its label a line, whatever stands between them (CoNLL 2003 has two more columns)."""
    words: list[str] = []
    labels: list[str] = []
    begun, broken = 1, False
    for number, line in text_lines(file, problems):
        cells = line.split()
        if not cells or cells[0] == "-DOCSTART-":
            if words and not broken:
                yield _sentence(words, labels, f"{file.stem}:{begun}")
            words, labels, begun, broken = [], [], number + 1, False
            continue
        bad = _bad(cells[-1:]) if len(cells) >= 2 else f"expected a word and its label, found {line!r}"
        if bad:
            problems.add(file, number, f"{bad}; the sentence is left out")
            broken = True
        words.append(cells[0])
        labels.append(cells[-1])
    if words and not broken:
        yield _sentence(words, labels, f"{file.stem}:{begun}")


def _bad(labels: Sequence[str]) -> str:
    """What is wrong with labels; empty where nothing is."""
    for label in labels:
        if label != OUTSIDE and label[:2] not in ("B-", "I-", "E-", "S-", "M-"):
            return f"label {label!r}: expected O, or B-, I-, E-, S- with a type"
    return ""


def _sentence(words: Sequence[str], labels: Sequence[str], id: str) -> Example:
    """Characters stand close, as in Chinese text; longer words have blanks between them."""
    if all(len(word) == 1 for word in words):
        spans = tuple(Span(place, place + 1) for place in range(len(words)))
        return Example(id, "".join(words), spans, tuple(labels))
    text, found = from_words(words)
    return Example(id, text, tuple(found), tuple(labels))


def measure(gold: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]]) -> dict[str, Metric]:
    """F1, precision and recall of typed spans as CoNLL counts them (by seqeval); a sentence is a case."""
    from seqeval.metrics.sequence_labeling import get_entities

    given, found = ([set(get_entities(list(labels))) for labels in side] for side in (gold, predicted))
    right_N = np.array([len(a & b) for a, b in zip(given, found, strict=True)])
    found_N, given_N = (np.array([len(spans) for spans in side]) for side in (found, given))
    return {
        "span_f1": f1_of_counts(right_N, found_N, given_N),
        "span_precision": share(right_N, found_N),
        "span_recall": share(right_N, given_N),
    }


def tags(examples: Sequence[Example], answers: Sequence[Floats], labels: Labels) -> list[list[str]]:
    """The label of each word; words that were cut off, or have no token to read, are outside."""
    return [
        [OUTSIDE if np.isnan(answer_L).any() else labels[int(answer_L.argmax())] for answer_L in answer_NL]
        + [OUTSIDE] * (len(example.spans) - len(answer_NL))
        for example, answer_NL in zip(examples, answers, strict=True)
    ]


def spans(example: Example, tags: Sequence[str], sure_N: Floats) -> list[dict[str, Any]]:
    """The typed spans that labels spell; the probability is that of the least sure word."""
    from seqeval.metrics.sequence_labeling import get_entities

    sure = np.append(sure_N, np.ones(len(tags) - len(sure_N)))
    return [
        {
            "start": example.spans[first].start,
            "end": example.spans[last].end,
            "text": example.text[example.spans[first].start : example.spans[last].end],
            "type": kind,
            "probability": rounded(sure[first : last + 1].min()),
        }
        for kind, first, last in get_entities(list(tags))
    ]


def _measure(examples: Sequence[Example], answers: Sequence[Floats], labels: Labels) -> dict[str, Metric]:
    return measure([example.labels for example in examples], tags(examples, answers, labels))


def _words(id: str, parsed: ParsedMarkup) -> Example | None:
    if set(parsed.spans) - {""}:
        return None
    return Example(id, parsed.text, parsed.words(), mentions=parsed.mentions)


def _record(example: Example, probabilities_NL: Floats, labels: Labels) -> dict[str, Any]:
    """The labels of the words, and the typed spans that they spell."""
    (predicted,) = tags([example], [probabilities_NL], labels)
    sure_N = probabilities_NL.max(axis=1, initial=0.0)
    return {"predicted": predicted, "spans": spans(example, predicted, sure_N)}


def _line(record: Mapping[str, Any]) -> str:
    spans = (f"{span['text']}: {span['type']} {span['probability']:.2f}" for span in record["spans"])
    return ", ".join(spans) or "–"


TASK = Task(
    "the label of each word of a sentence",
    read,
    "words",
    _measure,
    "span_f1",
    as_example=_words,
    as_record=_record,
    as_line=_line,
)
