"""Similarity: a number for a pair of texts, such as their semantic similarity (STS).

Formats: TSV files with the columns `score`, `text_a`, `text_b`, and JSON lines `{"text", "second", "score"}`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kepipe.arrays import Floats
from kepipe.data.line_readers import columns
from kepipe.finetuning.classification import pair_of_texts
from kepipe.finetuning.examples import Example, Record, mentions_of, read_records, text_of
from kepipe.finetuning.in_words import GeneratedAnswer, InWords, Word, of_texts
from kepipe.finetuning.metrics import Metric, mean
from kepipe.finetuning.number_output import NumberOutput
from kepipe.finetuning.output import Labels
from kepipe.finetuning.task import Task
from kg.problems import Problems


def read(file: Path, problems: Problems) -> Iterator[Example]:
    """Pairs of texts with a number."""
    if file.suffix in (".jsonl", ".json"):
        yield from read_records(file, problems, _example)
        return
    for number, cells in columns(file, problems, ["score", "text_a", "text_b"]):
        record = {"text": cells["text_a"], "second": cells["text_b"], "score": cells["score"]}
        try:
            yield _example(record, f"{file.stem}:{number}")
        except ValueError as error:
            problems.add(file, number, str(error))


def _example(record: Record, id: str) -> Example:
    texts = [text_of(record[key]).strip() for key in ("text", "second")]
    if not all(texts):
        raise ValueError("`text` or `second` is empty")
    score = record["score"]
    if isinstance(score, bool) or not _is_number(score):
        raise ValueError(f"`score`: expected a number, found {score!r}")
    return Example(
        str(record.get("id", id)),
        texts[0],
        labels=(str(float(score)),),
        second=texts[1],
        mentions=mentions_of(record),
    )


def _is_number(value: Any) -> bool:
    try:
        return math.isfinite(float(value))
    except (TypeError, ValueError):
        return False


def correlation(one_N: Floats, other_N: Floats) -> Metric:
    """Pearson's r, from sums over cases; 0 if one of the variables is constant."""
    x_N, y_N = (values - values.mean() for values in (one_N, other_N))
    columns_NK = np.stack([x_N, y_N, x_N * x_N, y_N * y_N, x_N * y_N, np.ones_like(x_N)], axis=1)

    def value(sums: Floats) -> Any:
        x, y, xx, yy, xy, n = np.moveaxis(sums / sums[..., 5:6], -1, 0)
        spread = np.sqrt(np.maximum((xx - x * x) * (yy - y * y), 0.0))
        varies = spread > 1e-12 * np.maximum(n, 1)
        return np.where(varies, (xy - x * y) / np.where(varies, spread, 1.0), 0.0)

    return Metric(columns_NK, value)


def measure(gold_N: Floats, predicted_N: Floats) -> dict[str, Metric]:
    """Spearman's ρ (ties get their mean rank; the bootstrap resamples the ranks of the full sample), Pearson's r, and
    the mean absolute error."""
    from scipy.stats import rankdata

    return {
        "spearman": correlation(rankdata(gold_N), rankdata(predicted_N)),
        "pearson": correlation(gold_N, predicted_N),
        "mean_absolute_error": mean(np.abs(gold_N - predicted_N)),
    }


def _gold(examples: Sequence[Example]) -> Floats:
    return np.array([float(example.gold[0]) for example in examples])


def _measure(examples: Sequence[Example], answers: Sequence[float], _labels: Labels) -> dict[str, Metric]:
    return measure(_gold(examples), np.array(answers, np.float64))


def _record(_example: Example, answer: float, _labels: Labels) -> dict[str, Any]:
    return {"predicted": round(answer, 6)}


def _line(record: Mapping[str, Any]) -> str:
    return f"{record['predicted']:.3f}"


def _measure_written(examples: Sequence[Example], answers: Sequence[str], _word: Word) -> dict[str, Metric]:
    """The metrics of generated answers; an answer that is not a number counts as the mean of the gold numbers."""
    gold_N = _gold(examples)
    written = [float(answer) if _is_number(answer) else float(gold_N.mean()) for answer in answers]
    return measure(gold_N, np.array(written))


TASK = Task(
    "how similar two texts are, as a number",
    read,
    "row",
    _measure,
    "spearman",
    NumberOutput(),
    asks="as two texts with ` ||| ` between them",
    example="Warsaw lies on the Vistula. ||| The Vistula flows through Warsaw.",
    as_example=pair_of_texts,
    as_record=_record,
    as_line=_line,
    metrics=("spearman", "pearson", "mean_absolute_error"),
    in_words=InWords(
        "Say by a number how similar the two texts are.",
        "First: {text}\nSecond: {second}\nSimilarity: {answer}",
        of_texts,
        GeneratedAnswer(lambda example, _word: f"{float(example.gold[0]):g}", _measure_written),
    ),
)
