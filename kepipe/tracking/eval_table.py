"""The cases of a stage that measures, as the table that `mlflow.models.evaluate` logs with its results.

MLflow's pages show the table at the run, and beside those of other runs; `mlflow.load_table` reads it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

FILE = "eval_results_table.json"
"""The name of the table that `mlflow.models.evaluate` logs."""
TAG = "mlflow.loggedArtifacts"
"""Tag of a run: its tables."""
TAGGED = json.dumps([{"path": FILE, "type": "table"}])
CASES = ("predictions.jsonl", "clozes.jsonl", "quiz.jsonl")
"""Files of stages with a case on each line."""
MAX_CASES = 1000
"""Maximum number of cases of each file in the table."""


def log_eval_table(client: MlflowClient, run: str, folder: Path) -> None:
    """Log the table of a stage's folder to its run. Idempotent, unlike `MlflowClient.log_table`, which appends."""
    if table := eval_table(folder):
        client.log_text(run, table, FILE)
        client.set_tag(run, TAG, TAGGED)


def eval_table(folder: Path) -> str:
    """The table as JSON: columns, and rows with their cells; values with parts are JSON too. "" for a stage without
    cases. `file` is the name of the file that a case is from."""
    cases = [case for name in CASES for case in _cases(folder / name)]
    columns = list(dict.fromkeys(name for case in cases for name in case))
    rows = [[_cell(case.get(name)) for name in columns] for case in cases]
    return json.dumps({"columns": columns, "data": rows}, ensure_ascii=False) if rows else ""


def _cases(file: Path) -> Iterator[dict[str, Any]]:
    if file.is_file():
        with file.open(encoding="utf-8") as lines:
            for line in islice(lines, MAX_CASES):
                yield {"file": file.stem, **json.loads(line)}


def _cell(value: Any) -> Any:
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else value
