"""New, changed and deleted documents."""

from __future__ import annotations

from kepipe.data.text_changes import text_changes


def test_changes_are_found_by_text_and_by_id() -> None:
    before = {"a": "one", "b": "two", "c": "three", "d": "four"}
    now = [("new", "five"), ("a", "one"), ("b", "two, changed"), ("moved", "three")]
    changes = text_changes(before, now)
    assert list(changes.new) == [0, 2]
    assert list(changes.changed) == ["b"]
    assert list(changes.gone) == ["c", "d"]
    assert list(text_changes({}, now).new) == [0, 1, 2, 3]
