"""Names restricted to characters that MLflow allows."""

from __future__ import annotations

from kepipe.tracking.names import MAX_LENGTH, allowed


def test_allowed_characters_are_kept() -> None:
    assert allowed("entity_cloze/hits@10") == "entity_cloze/hits_at_10"
    assert allowed("test/F1 行星") == "test/F1 行星"


def test_distinct_names_stay_distinct() -> None:
    names = ["a(b)", "a[b]", "a_b_", "x" * 300, "x" * 301, "x" * MAX_LENGTH]
    taken = [allowed(name) for name in names]
    assert len(set(taken)) == len(names)
    assert max(map(len, taken)) <= MAX_LENGTH
