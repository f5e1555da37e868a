"""What a model answered, example by example, as plain records: for `predictions.jsonl` and `kepipe predict`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from kepipe.arrays import Floats
from kepipe.finetuning import typing
from kepipe.finetuning.classification import RIGHT
from kepipe.finetuning.examples import Example
from kepipe.finetuning.table import tags

if TYPE_CHECKING:
    from kepipe.finetuning.fine_tuned import TaskSpec


def records(
    spec: TaskSpec, examples: Sequence[Example], answers: Sequence[Floats]
) -> Iterator[dict[str, Any]]:
    """`{"id", "predicted", "probability", "labels"}` of each example; `labels` are the true ones, where known.

    Typing: `predicted` are types → probabilities. Ranking: `probability` is that of being the answer. Tagging:
    `predicted` are the labels of the words, `spans` what they spell: start, end (characters), type, probability.
    """
    for example, answer in zip(examples, answers, strict=True):
        record: dict[str, Any] = {"id": example.id, **_record(spec, example, answer)}
        if example.group:
            record["group"] = example.group
        if example.labels:
            record["labels"] = example.labels if len(example.labels) > 1 else example.labels[0]
        yield record


def _record(spec: TaskSpec, example: Example, answer_NL: Floats) -> dict[str, Any]:
    labels = spec.labels
    if spec.task == "tagging":
        (told,) = tags([example], [answer_NL], labels)
        return {"predicted": told, "spans": spans(example, told, answer_NL.max(axis=1, initial=0.0))}
    if spec.task == "typing":
        (chosen_L,) = typing.choose(answer_NL)
        found = sorted(np.flatnonzero(chosen_L).tolist(), key=lambda row: -answer_NL[0, row])
        return {"predicted": {labels[row]: _round(answer_NL[0, row]) for row in found}}
    best = int(answer_NL[0].argmax())
    asked = labels.index(RIGHT) if spec.task == "ranking" else best
    return {"predicted": labels[best], "probability": _round(answer_NL[0, asked])}


def spans(example: Example, told: Sequence[str], sure_N: Floats) -> list[dict[str, Any]]:
    """The typed spans that labels spell; the probability is that of the least sure word."""
    from seqeval.metrics.sequence_labeling import get_entities

    sure = np.append(sure_N, np.ones(len(told) - len(sure_N)))
    return [
        {
            "start": example.spans[first].start,
            "end": example.spans[last].end,
            "text": example.text[example.spans[first].start : example.spans[last].end],
            "type": kind,
            "probability": _round(sure[first : last + 1].min()),
        }
        for kind, first, last in get_entities(list(told))
    ]


def _round(probability: Any) -> float:
    return round(float(probability), 6)
