"""Lineage: the inputs of a store's results."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from kepipe.flow.artifact import seal
from kepipe.flow.lineage import StageResult, by_digest, lineage_of, nearest_ancestor
from kepipe.flow.plan import Workspace


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """A corpus, a stage that copies it under a name earlier in the alphabet, and a model made of the copy."""
    done = tmp_path / "store" / "done"
    corpus = made(done / "corpus-1", "corpus", {}, "text")
    copy = made(done / "copy-1", "champion", {"corpus": corpus}, "text")
    assert corpus == copy
    made(done / "model-1", "pretrain", {"corpus": copy}, "weights")
    return Workspace(tmp_path)


def made(folder: Path, stage: str, inputs: dict[str, str], content: str) -> str:
    folder.mkdir(parents=True)
    (folder / "content.txt").write_text(content)
    return seal(folder, {"stage": stage, "inputs": inputs}, "run")


def test_digest_of_a_copied_result_resolves_to_the_original(workspace: Workspace) -> None:
    results = by_digest(workspace)
    assert sorted(result.kind for result in results.values()) == ["corpus", "pretrain"]


def test_first_of_equal_originals_is_used_whatever_copies_lie_between(
    workspace: Workspace, tmp_path: Path
) -> None:
    done = tmp_path / "store" / "done"
    again = made(done / "corpus-2", "corpus", {}, "text")
    made(done / "corpus-3", "champion", {"corpus": again}, "text")
    made(done / "corpus-4", "corpus", {}, "text")
    assert by_digest(workspace)[again].folder.name == "corpus-1"


def test_copy_is_used_if_the_original_was_removed(workspace: Workspace, tmp_path: Path) -> None:
    shutil.rmtree(tmp_path / "store" / "done" / "corpus-1")
    assert sorted(result.kind for result in by_digest(workspace).values()) == ["champion", "pretrain"]


def test_lineage_of_a_model_ends_at_the_original(workspace: Workspace) -> None:
    results = by_digest(workspace)
    (model,) = (result for result in results.values() if result.kind == "pretrain")
    (origin,) = lineage_of(model, workspace).inputs
    assert not origin.inputs
    assert origin.made is not None
    assert origin.made.kind == "corpus"
    assert nearest_ancestor(model.digest, "corpus", results) == origin.made
    assert nearest_ancestor(model.digest, "link", results) is None


def test_ancestors_that_are_gone_or_met_twice_are_passed_over(workspace: Workspace, tmp_path: Path) -> None:
    results = by_digest(workspace)
    (model,) = (result for result in results.values() if result.kind == "pretrain")
    both = {"gone": "0123", "corpus": results[model.digest].inputs().__next__()[1], "model": model.digest}
    made(tmp_path / "store" / "done" / "report-1", "report", both, "page")
    results = by_digest(workspace)
    (report,) = (result for result in results.values() if result.kind == "report")
    assert nearest_ancestor(report.digest, "link", results) is None
    assert nearest_ancestor(report.digest, "corpus", results) == results[both["corpus"]]
    assert nearest_ancestor("0123", "corpus", results) is None
    assert [(node.slot, node.made is None) for node in lineage_of(report, workspace).inputs] == [
        ("corpus", False), ("gone", True), ("model", False),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("record", "stage"), [('{"stage": "mine"}', "mine"), ("[1]", "report"), ("", "report")]
)
def test_name_of_a_stage_without_a_readable_record_is_that_of_its_kind(
    tmp_path: Path, record: str, stage: str
) -> None:
    made(tmp_path / "report-1", "report", {}, "page")
    (tmp_path / "report-1" / "record").mkdir()
    (tmp_path / "report-1" / "record" / "run.json").write_text(record)
    assert StageResult.open(tmp_path / "report-1").stage == stage
