"""Classification of a text or of a pair of texts, and ranking of the candidate answers of a question.

Formats: TSV files with a header `label`, `text_a`, for pairs `text_b`, for ranking `qid`, in any order; and JSON lines
`{"text", "label"}`, with `second` for pairs, `group` for ranking, and optionally `mentions`, the entities that the text
names: `[{"start", "end", "entity"}]`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kepipe.arrays import Bools, Floats, Ints
from kepipe.data.line_readers import columns
from kepipe.finetuning.examples import Example, Record, mentions_of, read_records, text_of
from kepipe.finetuning.in_words import InWords, of_texts
from kepipe.finetuning.label_output import (
    CALIBRATION,
    best_label,
    calibration,
    label_numbers,
    likeliest,
    rounded,
)
from kepipe.finetuning.metrics import Metric, accuracy, mean
from kepipe.finetuning.output import Labels
from kepipe.finetuning.task import ParsedMarkup, Task
from kg.problems import Problems

RIGHT = "1"
"""Ranking: the label of a pair whose second text answers the question; any other label means it does not."""


def read_texts(file: Path, problems: Problems) -> Iterator[Example]:
    """Texts with their class."""
    return _read(file, problems, {"label": "label", "text_a": "text"})


def read_pairs(file: Path, problems: Problems) -> Iterator[Example]:
    """Pairs of texts with the class of the pair."""
    return _read(file, problems, {"label": "label", "text_a": "text", "text_b": "second"})


def read_questions(file: Path, problems: Problems) -> Iterator[Example]:
    """Pairs of texts with the question that they belong to, and whether the pair answers it ("1")."""
    names = {"qid": "group", "label": "label", "text_a": "text", "text_b": "second"}
    return _read(file, problems, names)


def _read(file: Path, problems: Problems, names: dict[str, str]) -> Iterator[Example]:
    """Examples of a TSV file, or of JSON lines. `names`: TSV column → JSON key."""
    if file.suffix in (".jsonl", ".json"):
        return read_records(file, problems, lambda record, id: _example(record, id, set(names.values())))
    return _table(file, problems, names)


def _table(file: Path, problems: Problems, names: dict[str, str]) -> Iterator[Example]:
    for number, cells in columns(file, problems, list(names)):
        record = {key: cells[column] for column, key in names.items()}
        try:
            yield _example(record, f"{file.stem}:{number}", set(names.values()))
        except ValueError as error:
            problems.add(file, number, str(error))


def _example(record: Record, id: str, keys: set[str]) -> Example:
    values = {key: text_of(record[key]).strip() for key in sorted(keys)}
    empty = [key for key, value in values.items() if not value]
    if empty:
        raise ValueError(f"`{empty[0]}` is empty")
    return Example(
        str(record.get("id", id)),
        values["text"],
        labels=(values["label"],),
        second=values.get("second", ""),
        mentions=mentions_of(record),
        group=values.get("group", ""),
    )


def measure(gold_N: Ints, predicted_N: Ints) -> dict[str, Metric]:
    """Accuracy over texts."""
    return {"accuracy": accuracy(gold_N, predicted_N)}


def reciprocal_ranks(groups_N: Ints, right_N: Bools, scores_N: Floats) -> Floats:
    """1 / rank of the first correct pair of each question that has one, float [questions].

    Rank 1 is the highest score. Pairs with equal scores share the worst of their ranks, so that a model with constant
    scores gains nothing from the order of the file.
    """
    found = []
    order = np.argsort(groups_N, kind="stable")
    borders = np.flatnonzero(np.diff(groups_N[order])) + 1
    for members in np.split(order, borders):
        right, scores = right_N[members], scores_N[members]
        if right.any():
            found.append(1.0 / (scores >= scores[right].max()).sum())
    return np.array(found)


def measure_ranking(groups_N: Ints, right_N: Bools, scores_N: Floats) -> dict[str, Metric]:
    """Mean reciprocal rank over questions with a correct answer; a question is a case."""
    ranks = reciprocal_ranks(groups_N, right_N, scores_N)
    if not len(ranks):
        raise ValueError(f'ranking: no question has a correct pair, labelled "{RIGHT}"')
    return {"mrr": mean(ranks), "first_right": mean(ranks == 1.0)}


BETWEEN = " ||| "
"""The separator of the two texts of a pair in `kepipe predict`."""


def _measure(examples: Sequence[Example], answers: Sequence[Floats], labels: Labels) -> dict[str, Metric]:
    return {
        **measure(label_numbers(examples, labels), likeliest(answers)),
        **calibration(examples, answers, labels),
    }


def _measure_ranking(
    examples: Sequence[Example], answers: Sequence[Floats], labels: Labels
) -> dict[str, Metric]:
    groups_N = np.unique([example.group for example in examples], return_inverse=True)[1]
    right_N = np.array([example.gold[0] == RIGHT for example in examples])
    scores_N = np.concatenate(answers)[:, labels.index(RIGHT)]
    return measure_ranking(groups_N, right_N, scores_N)


def pair_of_texts(id: str, parsed: ParsedMarkup) -> Example | None:
    """A pair from two texts joined by `BETWEEN`; None if the separator is missing or a role is marked."""
    first, between, second = parsed.text.partition(BETWEEN)
    return Example(id, first, second=second) if between and not set(parsed.spans) - {""} else None


def _answer_record(example: Example, probabilities_1L: Floats, labels: Labels) -> dict[str, Any]:
    """The more probable label, and the probability that the pair answers its question."""
    return best_label(example, probabilities_1L, labels) | {
        "probability": rounded(probabilities_1L[0, labels.index(RIGHT)])
    }


CLASSIFICATION = Task(
    "the class of a text",
    read_texts,
    "row",
    _measure,
    "accuracy",
    metrics=("accuracy", CALIBRATION),
    in_words=InWords("Say what the text is: {labels}.", "Text: {text}\nLabel: {answer}", of_texts),
)
PAIRS = Task(
    "the class of a pair of texts",
    read_pairs,
    "row",
    _measure,
    "accuracy",
    asks="as two texts with ` ||| ` between them",
    example="Warsaw lies on the Vistula. ||| The Vistula flows through Warsaw.",
    as_example=pair_of_texts,
    metrics=("accuracy", CALIBRATION),
    in_words=InWords(
        "Say what the two texts are to each other: {labels}.",
        "First: {text}\nSecond: {second}\nLabel: {answer}",
        of_texts,
    ),
)
RANKING = Task(
    "which of a question's pairs answers it",
    read_questions,
    "row",
    _measure_ranking,
    "mrr",
    asks="as a question and an answer with ` ||| ` between them",
    example="Where does Warsaw lie? ||| Warsaw lies on the Vistula.",
    as_example=pair_of_texts,
    as_record=_answer_record,
    metrics=("mrr", "first_right"),
    in_words=InWords(
        "Say whether the text answers the question: {labels}.",
        "Question: {text}\nText: {second}\nLabel: {answer}",
        of_texts,
    ),
)
