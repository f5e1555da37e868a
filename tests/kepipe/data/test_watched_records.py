from __future__ import annotations

from kepipe.data.watched_records import watched
from kg.sources.account import Account


def test_accessed_keys_count_as_imported_and_others_as_skipped() -> None:
    account = Account()
    rows = [(1, {"text": "a", "label": "x", "note": "-"}), (2, {"text": "b", "note": "-"})]
    for _, row in watched(rows, account):
        assert row["text"] in "ab"
        assert row.get("label") in ("x", None)
    assert [*account.lines()] == [
        "taken: keys and columns: 3 (text 2, label 1)",
        "left out: keys and columns: 2 (note 2)",
    ]
