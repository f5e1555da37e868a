"""Multi-label classification of a text: any number of labels, also none.

Formats: JSON lines `{"text", "labels": […]}`, where an empty list means no label, and TSV files with the columns
`labels`, separated by `|`, and `text_a`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kepipe.arrays import Bools, Floats
from kepipe.data.line_readers import columns
from kepipe.finetuning.examples import Example, Record, mentions_of, read_records, text_of
from kepipe.finetuning.in_words import GeneratedAnswer, InWords, Word, of_texts
from kepipe.finetuning.label_output import CALIBRATION, SEVERAL_LABELS, calibration, rounded
from kepipe.finetuning.metrics import Metric, f1_of_counts, mean, share
from kepipe.finetuning.output import Labels
from kepipe.finetuning.task import Task
from kg.problems import Problems

BETWEEN = "|"
"""The separator of labels in a TSV cell."""
NOTHING = "none"
"""The output for a text without labels."""


def read(file: Path, problems: Problems) -> Iterator[Example]:
    """Texts with their labels."""
    if file.suffix in (".jsonl", ".json"):
        yield from read_records(file, problems, _example)
        return
    for number, cells in columns(file, problems, ["labels", "text_a"]):
        labels = [label.strip() for label in cells["labels"].split(BETWEEN)]
        record = {"text": cells["text_a"], "labels": [label for label in labels if label]}
        try:
            yield _example(record, f"{file.stem}:{number}")
        except ValueError as error:
            problems.add(file, number, str(error))


def _example(record: Record, id: str) -> Example:
    text, labels = text_of(record["text"]).strip(), record["labels"]
    if not text:
        raise ValueError("`text` is empty")
    if not isinstance(labels, list):
        raise ValueError(f"`labels`: expected a list, which may be empty, found {labels!r}")
    found = sorted({text_of(label) for label in labels})
    return Example(str(record.get("id", id)), text, labels=tuple(found), mentions=mentions_of(record))


def measure(gold_NL: Bools, predicted_NL: Bools) -> dict[str, Metric]:
    """Micro-F1, with precision and recall; macro-F1 over labels, where a label that is neither gold nor predicted has
    F1 0; mean F1 of texts, where a text without gold and predicted labels has F1 1; the share of texts with all labels
    correct."""
    right_NL = gold_NL & predicted_NL
    right_N, predicted_N, gold_N = (kind.sum(axis=1) for kind in (right_NL, predicted_NL, gold_NL))
    both_N = predicted_N + gold_N
    return {
        "micro_f1": f1_of_counts(right_N, predicted_N, gold_N),
        "macro_f1": _macro_f1(right_NL, predicted_NL, gold_NL),
        "micro_precision": share(right_N, predicted_N),
        "micro_recall": share(right_N, gold_N),
        "sample_f1": mean(np.where(both_N > 0, 2 * right_N / np.maximum(both_N, 1), 1.0)),
        "exact_match": mean((gold_NL == predicted_NL).all(axis=1)),
    }


def _macro_f1(right_NL: Bools, predicted_NL: Bools, gold_NL: Bools) -> Metric:
    columns_NK = np.concatenate([right_NL, predicted_NL, gold_NL], axis=1).astype(np.float64)

    def value(sums: Floats) -> Any:
        right, predicted, gold = np.split(sums, 3, axis=-1)
        return (2 * right / np.maximum(predicted + gold, 1)).mean(axis=-1)

    return Metric(columns_NK, value)


def _measure(examples: Sequence[Example], answers: Sequence[Floats], labels: Labels) -> dict[str, Metric]:
    gold_NL = np.array([np.isin(labels, example.gold) for example in examples])
    return {
        **measure(gold_NL, np.concatenate(answers) > 0.5),
        **calibration(examples, answers, labels, several=True),
    }


def _record(_example: Example, probabilities_1L: Floats, labels: Labels) -> dict[str, Any]:
    """Predicted labels → probabilities, most probable first; `highest`: the most probable label, even if not
    predicted."""
    (probable_L,) = probabilities_1L
    chosen = sorted(np.flatnonzero(probable_L > 0.5).tolist(), key=lambda row: -probable_L[row])
    return {
        "predicted": {labels[row]: rounded(probable_L[row]) for row in chosen},
        "highest": {labels[int(probable_L.argmax())]: rounded(probable_L.max())},
    }


def _line(record: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {sure:.2f}" for name, sure in record["predicted"].items()) or NOTHING


def _write(example: Example, word: Word) -> str:
    return "; ".join(map(word, example.gold)) or NOTHING


def _measure_written(examples: Sequence[Example], answers: Sequence[str], word: Word) -> dict[str, Metric]:
    labels = sorted({label for example in examples for label in example.gold})
    words = [word(label).casefold() for label in labels]
    gold_NL = np.array([np.isin(labels, example.gold) for example in examples])
    named = [[part.strip().casefold() for part in answer.split(";")] for answer in answers]
    return measure(gold_NL, np.array([np.isin(words, parts) for parts in named]))


TASK = Task(
    "which labels a text has, several at once or none",
    read,
    "row",
    _measure,
    "micro_f1",
    output=SEVERAL_LABELS,
    as_record=_record,
    as_line=_line,
    metrics=(
        "micro_f1",
        "macro_f1",
        "micro_precision",
        "micro_recall",
        "sample_f1",
        "exact_match",
        CALIBRATION,
    ),
    in_words=InWords(
        "List the labels of the text.",
        "Text: {text}\nLabels: {answer}",
        of_texts,
        GeneratedAnswer(_write, _measure_written),
    ),
)
