"""Cases of a stage as a table."""

from __future__ import annotations

import json
from pathlib import Path

from kepipe.tracking.eval_table import MAX_CASES, eval_table


def test_eval_table_has_cases_of_all_files_up_to_a_limit_each(tmp_path: Path) -> None:
    cloze = {"label": "Titan", "ranks": {"pretrain": 1.0}}
    (tmp_path / "clozes.jsonl").write_text((json.dumps(cloze) + "\n") * (MAX_CASES + 1))
    (tmp_path / "quiz.jsonl").write_text('{"label": "氦", "stated": true}\n')
    (tmp_path / "documents.jsonl").write_text('{"text": "no case"}\n')
    table = json.loads(eval_table(tmp_path))
    assert table["columns"] == ["file", "label", "ranks", "stated"]
    assert len(table["data"]) == MAX_CASES + 1
    assert table["data"][0] == ["clozes", "Titan", '{"pretrain": 1.0}', None]
    assert table["data"][-1] == ["quiz", "氦", None, True]


def test_stage_without_cases_has_no_eval_table(tmp_path: Path) -> None:
    assert eval_table(tmp_path) == ""
    assert eval_table(tmp_path / "gone") == ""
