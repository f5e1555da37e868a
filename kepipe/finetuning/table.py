"""The table of tasks: reader, marks, what the head reads, how answers are measured. A task is a row and a file."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from kepipe.arrays import Floats, Ints
from kepipe.finetuning import classification, relations, tagging, typing
from kepipe.finetuning.encoding import QueryPositions
from kepipe.finetuning.examples import Example, Reader
from kepipe.finetuning.heads import Kind
from kepipe.finetuning.metrics import Metric
from kepipe.finetuning.rows import Row

TaskName = Literal["relations", "typing", "classification", "pairs", "ranking", "tagging"]
Measure = Callable[[Sequence[Example], Sequence[Floats], Sequence[str]], dict[str, Metric]]
"""Examples, the probabilities [cases, L] of each, the labels → the metrics."""


@dataclass(frozen=True)
class Task:
    """A row. `marks`: names of the special tokens around span 0, 1, …. `choose_by`: the metric that picks the epoch.

    `asks`: how a text to be answered is written, for `kepipe predict`.
    """

    read: Reader
    reads: QueryPositions
    kind: Kind
    measure: Measure
    choose_by: str
    marks: tuple[str, ...] = ()
    asks: str = "the text as it is"


def chosen(answers: Sequence[Floats]) -> Ints:
    """The likeliest label of each example that has one case."""
    rows: Ints = np.concatenate(answers).argmax(axis=1)
    return rows


def numbered(examples: Sequence[Example], labels: Sequence[str]) -> Ints:
    """The label of each example as its row in the table of labels."""
    rows = {label: row for row, label in enumerate(labels)}
    return np.array([rows[example.labels[0]] for example in examples], np.int64)


def _relations(
    examples: Sequence[Example], answers: Sequence[Floats], labels: Sequence[str]
) -> dict[str, Metric]:
    return relations.measure(numbered(examples, labels), chosen(answers), labels)


def _typing(
    examples: Sequence[Example], answers: Sequence[Floats], labels: Sequence[str]
) -> dict[str, Metric]:
    given_NL = np.array([np.isin(labels, example.labels) for example in examples])
    return typing.measure(given_NL, typing.choose(np.concatenate(answers)))


def _classes(
    examples: Sequence[Example], answers: Sequence[Floats], labels: Sequence[str]
) -> dict[str, Metric]:
    return classification.measure(numbered(examples, labels), chosen(answers))


def _ranking(
    examples: Sequence[Example], answers: Sequence[Floats], labels: Sequence[str]
) -> dict[str, Metric]:
    groups_N = np.unique([example.group for example in examples], return_inverse=True)[1]
    right_N = np.array([example.labels[0] == classification.RIGHT for example in examples])
    column = labels.index(classification.RIGHT)
    scores_N = np.concatenate(answers)[:, column]
    return classification.measure_ranking(groups_N, right_N, scores_N)


def _tagging(
    examples: Sequence[Example], answers: Sequence[Floats], labels: Sequence[str]
) -> dict[str, Metric]:
    return tagging.measure([example.labels for example in examples], tags(examples, answers, labels))


def tags(examples: Sequence[Example], answers: Sequence[Floats], labels: Sequence[str]) -> list[list[str]]:
    """The label of each word; words that were cut off are outside."""
    return [
        [labels[row] for row in answer_NL.argmax(axis=1).tolist()]
        + [tagging.OUTSIDE] * (len(example.spans) - len(answer_NL))
        for example, answer_NL in zip(examples, answers, strict=True)
    ]


def labelled(
    task: Task, rows: Sequence[Row], examples: Sequence[Example], labels: Sequence[str]
) -> list[Row]:
    """The rows with their examples' labels as numbers; in tagging those of the words that were not cut off."""
    of = {label: number for number, label in enumerate(labels)}
    return [
        replace(
            row,
            labels=tuple(of[label] for label in example.labels)[
                : len(row.marks) if task.reads == "words" else None
            ],
        )
        for row, example in zip(rows, examples, strict=True)
    ]


TASKS: Mapping[TaskName, Task] = {
    "relations": Task(
        relations.read, "spans", "one", _relations, "micro_f1", ("[HD]", "[TL]"),
        "with head and tail marked, such as `[[Marie Curie|head]] was born in [[Warsaw|tail]].`",
    ),
    "typing": Task(
        typing.read, "spans", "several", _typing, "loose_micro_f1", ("[ENT]",),
        "with the mention marked, such as `[[Warsaw|mention]] lies on the Vistula.`",
    ),
    "classification": Task(classification.read_texts, "row", "one", _classes, "accuracy"),
    "pairs": Task(
        classification.read_pairs, "row", "one", _classes, "accuracy",
        asks="as two texts with ` ||| ` between them",
    ),
    "ranking": Task(
        classification.read_questions, "row", "one", _ranking, "mrr",
        asks="as a question and an answer with ` ||| ` between them",
    ),
    "tagging": Task(tagging.read, "words", "one", _tagging, "span_f1"),
}  # fmt: skip
