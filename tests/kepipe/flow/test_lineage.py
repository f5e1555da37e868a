"""Lineage: the inputs of a store's results."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from kepipe.flow.artifact import seal
from kepipe.flow.lineage import by_digest, lineage_of, nearest_ancestor
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
