"""The file of scores: round trip in the same bytes; other formats are rejected."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kepipe.studies.intervals import Estimate
from kepipe.studies.scores import Difference, Scores, main_metrics, read_scores, single_values, write_scores

MRR, MOONS = Estimate(0.5, 0.4, 0.6, 30, 8), Estimate(0.25, None, None, 4, 2)
SCORES = Scores(
    {"pretrain": {"entity_cloze": {"mrr": MRR, "by_type/moon/mrr": MOONS}}, "control": {}},
    (Difference("pretrain", "control", {"entity_cloze": {"mrr": MOONS}}),),
    {"entity_cloze": {"links": {"mrr": MOONS}}},
    {"entity_cloze": {"cases": 30, "types": {"moon": {"cases": 4}}}},
)


def test_scores_round_trip(tmp_path: Path) -> None:
    write_scores(tmp_path / "scores.json", SCORES)
    assert read_scores(tmp_path / "scores.json") == SCORES
    write_scores(tmp_path / "again.json", read_scores(tmp_path / "scores.json"))
    assert (tmp_path / "again.json").read_bytes() == (tmp_path / "scores.json").read_bytes()
    values = json.loads((tmp_path / "scores.json").read_text())
    assert values["format"] == "kepipe-scores/1"
    assert values["arms"]["pretrain"]["entity_cloze"]["mrr"] == MRR.as_json()


def test_scores_of_another_format_are_rejected(tmp_path: Path) -> None:
    (tmp_path / "scores.json").write_text('{"dev": {"accuracy": {"value": 1}}}')
    with pytest.raises(ValueError, match="expected scores of the format kepipe-scores/1"):
        read_scores(tmp_path / "scores.json")


def test_groups_are_omitted_from_single_values() -> None:
    assert main_metrics(SCORES.arms["pretrain"]["entity_cloze"]) == {"mrr": MRR}
    assert single_values(SCORES.arms["pretrain"]) == {"entity_cloze/mrr": 0.5}
