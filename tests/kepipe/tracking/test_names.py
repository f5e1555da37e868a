"""Names in MLflow's characters."""

from __future__ import annotations

from kepipe.tracking.names import MAX_LENGTH, allowed


def test_names_that_mlflow_takes_stay_as_they_are() -> None:
    assert allowed("entity_cloze/hits@10") == "entity_cloze/hits_at_10"
    assert allowed("test/F1 行星") == "test/F1 行星"


def test_names_that_differ_stay_apart() -> None:
    names = ["a(b)", "a[b]", "a_b_", "x" * 300, "x" * 301, "x" * MAX_LENGTH]
    taken = [allowed(name) for name in names]
    assert len(set(taken)) == len(names)
    assert max(map(len, taken)) <= MAX_LENGTH
