"""A first run on one's own graph and texts, without links given, in English and in Chinese: files to registry."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kepipe.studies.scores import read_scores
from tests.support.kepipe_run import Kepipe
from tests.support.own_data import write_project


@pytest.mark.parametrize("language", ["en", "zh"])
def test_pipeline_on_own_data_finishes_and_reports_skipped_probes(tmp_path: Path, language: str) -> None:
    kepipe = Kepipe(tmp_path / "workspace", write_project(tmp_path / "project", language))
    outcome = kepipe.run_here(settings=())
    assert outcome.code == 0, outcome.errors
    assert outcome.statuses()["register"] == "finished"
    made = kepipe.workspace / f"own-{language}"
    scores = read_scores(made / "evaluate" / "scores.json")
    assert {"pretrain", "control"} == set(scores.arms)
    gate = json.loads((made / "register" / "offer.json").read_text())["gate"]
    warnings = "\n".join(event["message"] for event in outcome.events if event.get("level") == "warning")
    page = (made / "report" / "report.html").read_text(encoding="utf-8")
    if language == "en":
        assert gate["metric"] == "entity_cloze/mrr"
        assert scores.details["entity_cloze"]["cases"] > 10
    else:  # triples alone have no types
        assert gate == {"metric": "mlm_loss/tokens", "better": "lower", "minimum": None}
        assert "without a type" in scores.skipped["entity_cloze"]
        assert "entity-cloze is skipped" in warnings
        assert "Probes without results" in page
