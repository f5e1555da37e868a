"""Counts of imported and skipped items, each with its source."""

from __future__ import annotations

import pytest

from kg.sources.account import SHOWN, Account


def test_account_lines_list_sources_by_frequency() -> None:
    account = Account()
    account.take("names", "rdfs:label", 3)
    account.take("names", "skos:prefLabel")
    account.leave("obsolete terms")
    account.leave("literal values", "x:area", 0)
    assert list(account.lines()) == [
        "taken: names: 4 (rdfs:label 3, skos:prefLabel 1)", "left out: obsolete terms: 1",
    ]  # fmt: skip
    assert (account.taken, account.left_out) == ({"names": 4}, {"obsolete terms": 1})


def test_account_of_many_predicates_is_bounded() -> None:
    account = Account()
    for number in range(5000):
        account.leave("literal values", f"p{number}")
    assert account.left_out == {"literal values": 5000}
    (line,) = account.lines()
    assert line.count(",") <= SHOWN + 3
    assert len(account.taken_by("literal values")) <= 1001


def test_negative_counts_are_rejected() -> None:
    account = Account()
    with pytest.raises(ValueError, match="facts rdfs:subClassOf: a negative count, -1"):
        account.take("facts", "rdfs:subClassOf", -1)
    with pytest.raises(ValueError, match="obsolete terms: a negative count, -2"):
        account.leave("obsolete terms", count=-2)
    assert not account.taken
    assert not account.left_out
