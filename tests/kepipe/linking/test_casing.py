"""Runs of capitals."""

import pytest

from kepipe.linking.casing import capital_runs


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
def test_capitals_one_after_the_other_are_a_run(text: str, runs: list[str]) -> None:
    assert [text[start:end] for start, end in capital_runs(text)] == runs
