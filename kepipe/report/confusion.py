"""Confusion matrices as SVG."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from kepipe.finetuning.conll import OUTSIDE
from kepipe.report.markup import Markup, fill, join

MAX_LABELS = 16
"""Maximum number of labels in a matrix; the least frequent ones are merged."""
OTHERS = "others"
_CELL, _MARGIN, _LONGEST = 34, 150, 22


def confusions(records: Sequence[Mapping[str, Any]]) -> Counter[tuple[str, str]]:
    """(true label, predicted label) → count, for cases with one label, and for words by their types; empty for other
    outputs."""
    return Counter(pair for record in records for pair in _pairs(record))


def _pairs(record: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    labels, predicted = record["labels"], record["predicted"]
    if isinstance(predicted, list):
        given = [labels] if isinstance(labels, str) else labels
        yield from zip(map(_type, given), map(_type, predicted), strict=True)
    elif isinstance(predicted, str) and isinstance(labels, str):
        yield labels, predicted


def _type(tag: str) -> str:
    return tag if tag == OUTSIDE else tag.partition("-")[2] or tag


def gathered(
    counts: Mapping[tuple[str, str], int], most: int = MAX_LABELS
) -> tuple[list[str], list[list[int]]]:
    """The labels, most frequent true ones first, and the matrix: rows are true labels, columns predictions."""
    frequent: Counter[str] = Counter()
    for (gold, predicted), count in counts.items():
        frequent[gold] += count
        frequent[predicted] += 0
    labels = sorted(frequent, key=lambda label: (-frequent[label], label))
    if len(labels) > most:
        labels = [*labels[: most - 1], OTHERS]
    place = {label: number for number, label in enumerate(labels)}
    matrix = [[0] * len(labels) for _ in labels]
    for (gold, predicted), count in counts.items():
        matrix[place.get(gold, len(labels) - 1)][place.get(predicted, len(labels) - 1)] += count
    return labels, matrix


def draw(labels: Sequence[str], matrix: Sequence[Sequence[int]]) -> Markup:
    """The matrix as an SVG: the larger a cell's share of its row, the darker it is."""
    size = _MARGIN + _CELL * len(labels)
    parts: list[Markup] = []
    for row, counts in enumerate(matrix):
        row_total = max(sum(counts), 1)
        top = _MARGIN + row * _CELL
        parts.append(
            fill(
                '<text x="{}" y="{:.1f}" text-anchor="end" font-size="12" fill="var(--ink)">{}</text>',
                *(_MARGIN - 8, top + _CELL * 0.62, _short(labels[row])),
            )
        )
        for column, count in enumerate(counts):
            left = _MARGIN + column * _CELL
            color = "var(--series-0)" if row == column else "var(--series-1)"
            parts.append(
                fill(
                    '<rect x="{}" y="{}" width="{}" height="{}" fill="{}" opacity="{:.3f}"/>',
                    *(
                        left,
                        top,
                        _CELL - 1,
                        _CELL - 1,
                        color,
                        0.08 + 0.72 * count / row_total if count else 0.03,
                    ),
                )
            )
            if count:
                middle = (left + _CELL / 2, top + _CELL * 0.62)
                parts.append(
                    fill(
                        '<text x="{:.1f}" y="{:.1f}" text-anchor="middle" font-size="11" fill="var(--ink)">{}</text>',
                        *(*middle, f"{count:,}" if count < 100_000 else f"{count // 1000}k"),
                    )
                )
    for column, label in enumerate(labels):
        at = _MARGIN + (column + 0.62) * _CELL
        parts.append(
            fill(
                '<text transform="translate({:.1f} {}) rotate(-90)" font-size="12" fill="var(--ink)">{}</text>',
                *(at, _MARGIN - 8, _short(label)),
            )
        )
    return fill(
        '<svg viewBox="0 0 {} {}" style="max-width:{}px" role="img" aria-label="confusion matrix">{}</svg>',
        *(size, size, size, join(parts)),
    )


def _short(label: str) -> str:
    return label if len(label) <= _LONGEST else f"{label[: _LONGEST - 1]}…"
