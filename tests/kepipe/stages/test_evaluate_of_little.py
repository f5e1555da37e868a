"""The evaluate stage on text with few cases: probes without cases are skipped, lowered thresholds reported."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kepipe.data.document import Document
from kepipe.data.document_files import write_documents
from kepipe.flow.events import Noted
from kepipe.report import evaluation
from kepipe.report.page import Text
from kepipe.stages.evaluate import EVALUATE, EvaluateConfig, EvaluateInputs
from kepipe.studies.scores import Scores, read_scores
from tests.support.stages import run_stage
from tests.support.world import World, make_world

CONFIG = EvaluateConfig(context=48, max_mentions=30)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return make_world(tmp_path / "world")


def run(world: World, folder: Path, documents: list[Document], **changes: Any) -> tuple[Scores, list[str]]:
    """Scores and warnings for this linked text."""
    write_documents(world.linked.folder / "documents.jsonl", documents)
    inputs = EvaluateInputs(world.arms, world.linked, world.graph, world.shards)
    events = run_stage(EVALUATE, inputs, CONFIG.model_copy(update=changes), folder)
    warnings = [event.message for event in events if isinstance(event, Noted) and event.level == "warning"]
    return read_scores(folder / "out" / "scores.json"), warnings


def test_probe_without_cases_is_skipped_and_others_run(world: World, tmp_path: Path) -> None:
    documents = [replace(document, mentions=()) for document in world.documents]
    scores, warnings = run(world, tmp_path, documents)
    assert set(scores.arms["pretrain"]) == set(scores.details) == {"mlm_loss"}
    assert scores.skipped == {"entity_cloze": "the held-out text has no mention of an entity"}
    assert warnings == ["entity-cloze is skipped: the held-out text has no mention of an entity"]
    *_, last = evaluation.sections(scores, tmp_path / "out")
    assert last.blocks == (Text("Entity cloze: the held-out text has no mention of an entity."),)
    with pytest.raises(ValueError, match="entity-cloze: the held-out text has no mention"):
        run(world, tmp_path / "alone", documents, probes=("entity-cloze",))


def test_lowered_min_score_is_warned_about_and_on_the_page(world: World, tmp_path: Path) -> None:
    documents = [
        replace(document, mentions=tuple(replace(mention, score=0.6) for mention in document.mentions))
        for document in world.documents
    ]
    scores, (warning,) = run(world, tmp_path, documents)
    assert "too few mentions reach `min_score` 0.9" in warning
    assert "from 0.6 up" in warning
    (section, *_) = evaluation.sections(scores, tmp_path / "out")
    assert isinstance(section.blocks[1], Text)
    assert "too few mentions reach" in section.blocks[1].body
