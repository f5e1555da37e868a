"""Common words, and runs of capitals."""

import pytest

from kepipe.linking.text.casing import Casing, capital_runs, count_spellings


@pytest.mark.parametrize(
    ("text", "runs"),
    [
        ("He left Italy. It rained.", ["He", "Italy", "It"]),
        ("by J. R. R. Tolkien.", ["J. R. R. Tolkien"]),
        ("in St. Louis, near Ft. Worth", ["St. Louis", "Ft. Worth"]),
        ("Dr. Smith, Jr.", ["Dr. Smith", "Jr"]),
        ("the U.S. Navy of the U.S.", ["U.S. Navy", "U.S"]),
        ("Paris-Dakar\nO'Brien’s", ["Paris-Dakar", "O'Brien’s"]),
        ("École, élan, 中文", ["École"]),
        ("à Paris, über Ulm, в Москве, باريس Paris", ["Paris", "Ulm", "Москве", "Paris"]),
        ("", []),
    ],
)
def test_capital_runs(text: str, runs: list[str]) -> None:
    assert [text[start:end] for start, end in capital_runs(text)] == runs


def test_casing_counts() -> None:
    casing = Casing.count(["we read reading lists. Then Reading is reading", "Leeds"])
    assert casing.common("Reading") == pytest.approx(2 / (2 + 1 + 1))
    assert casing.common("Leeds") == casing.common("Reading Leeds") == 0.0


def test_a_capital_at_the_beginning_of_a_sentence_is_not_counted() -> None:
    """It would make every word that often begins one look like a name."""
    casing = Casing.count(['It saw it! "It is it?" (It was it.)\nIt', "It. École. We met It and it"])
    assert casing.common("It") == pytest.approx(4 / (4 + 1 + 1))


def test_not_all_descriptions_of_a_large_graph_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kepipe.linking.text.casing.MAX_DESCRIPTIONS", 1)
    casing = Casing.count_with(["a town, a town", "a lake, a lake"], count_spellings(["we row, we row"]))
    assert casing.common("Town") > 0
    assert casing.common("Row") > 0
    assert casing.common("Lake") == 0


def test_the_counts_of_parts_add_up_to_those_of_the_whole() -> None:
    texts = ["We read. Reading is Reading", "reading 中文 in Leeds", "Leeds: leeds, ÉCOLE, école 42"]
    together = count_spellings(texts)
    parts = count_spellings(texts[:1])
    parts.update(count_spellings(texts[1:]))
    assert parts == together
    assert not {"中文", "42"} & set(together), "text without case is not counted"
    assert Casing.from_counts(parts) == Casing.count(texts)
