"""What a model answered, example by example, as plain records: for `predictions.jsonl` and `kepipe predict`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from kepipe.finetuning.examples import Example
from kepipe.finetuning.output import Answer

if TYPE_CHECKING:
    from kepipe.finetuning.fine_tuned import TaskSpec


def records(
    spec: TaskSpec, examples: Sequence[Example], answers: Sequence[Answer]
) -> Iterator[dict[str, Any]]:
    """`{"id", "predicted", …, "labels"}` of each example, as its task tells an answer; `labels` are the true ones,
    where known."""
    for example, answer in zip(examples, answers, strict=True):
        record: dict[str, Any] = {"id": example.id, **spec.row.as_record(example, answer, spec.labels)}
        if example.group:
            record["group"] = example.group
        if example.labels:
            record["labels"] = example.labels if len(example.labels) > 1 else example.labels[0]
        yield record
