"""Predictions as plain records, for `predictions.jsonl` and `kepipe predict`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from kepipe.finetuning.examples import Example
from kepipe.finetuning.output import Answer

if TYPE_CHECKING:
    from kepipe.finetuning.fine_tuned import TaskSpec


class Piece(NamedTuple):
    """The smallest part of an answer that is scored: a label; in tagging a span, words start … stop − 1."""

    label: str
    start: int = 0
    stop: int = 0


def pieces(record: Mapping[str, Any]) -> tuple[frozenset[Piece], frozenset[Piece]]:
    """Gold and predicted pieces of a record: spans of a list of tags, keys of a mapping, or a single label."""
    predicted, labels = record["predicted"], record["labels"]
    if isinstance(predicted, list):
        return _spans([labels] if isinstance(labels, str) else labels), _spans(predicted)
    gold = [labels] if isinstance(labels, str) else labels
    answered = list(predicted) if isinstance(predicted, Mapping) else [str(predicted)] * (predicted != "")
    if record.get("right"):  # one of several gold answers
        gold = answered
    return frozenset(map(Piece, gold)), frozenset(map(Piece, answered))


def _spans(tags: Sequence[str]) -> frozenset[Piece]:
    from seqeval.metrics.sequence_labeling import get_entities

    return frozenset(Piece(type, first, last + 1) for type, first, last in get_entities(list(tags)))


def records(
    spec: TaskSpec, examples: Sequence[Example], answers: Sequence[Answer]
) -> Iterator[dict[str, Any]]:
    """`{"id", "predicted", …, "labels"}` for each example, in the form of its task; `labels`: the gold labels, if
    known."""
    for example, answer in zip(examples, answers, strict=True):
        record: dict[str, Any] = {"id": example.id, **spec.row.as_record(example, answer, spec.labels)}
        if example.group:
            record["group"] = example.group
        if example.labels is not None:
            record["labels"] = example.labels[0] if len(example.labels) == 1 else example.labels
        yield record
