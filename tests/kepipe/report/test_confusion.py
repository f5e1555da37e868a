"""Confusion matrices: counts of cases and of words, and their drawing."""

from __future__ import annotations

from collections import Counter

from kepipe.report.confusion import OTHERS, confusions, draw, gathered


def test_confusions_of_cases_and_words_are_counted() -> None:
    records = [
        {"labels": "a", "predicted": "b"},
        {"labels": "a", "predicted": "a"},
        {"labels": ["B-PER", "I-PER", "O"], "predicted": ["B-LOC", "I-PER", "O"]},
        {"labels": "O", "predicted": ["B-PER"]},  # a sentence of one word
        {"labels": ["x"], "predicted": {"x": 0.9}},  # several labels: none is taken for another
    ]
    assert confusions(records) == Counter(
        {("a", "b"): 1, ("a", "a"): 1, ("PER", "LOC"): 1, ("PER", "PER"): 1, ("O", "O"): 1, ("O", "PER"): 1}
    )


def test_rare_labels_are_grouped() -> None:
    counts = {(f"l{n}", f"l{n}"): 100 - n for n in range(30)} | {("l29", "l0"): 3, ("l0", "l28"): 2}
    labels, matrix = gathered(counts, most=5)
    assert labels == ["l0", "l1", "l2", "l3", OTHERS]
    assert sum(map(sum, matrix)) == sum(counts.values())
    assert matrix[4][0] == 3
    assert matrix[0] == [100, 0, 0, 0, 2]
    assert matrix[4][4] == sum(100 - n for n in range(4, 30))


def test_confusion_labels_are_escaped() -> None:
    labels, matrix = gathered({("<b>", "<b>"): 2, ("<b>", "c"): 1234})
    drawing = str(draw(labels, matrix))
    assert "<b>" not in drawing
    assert "&lt;b&gt;" in drawing
    assert "1,234" in drawing
