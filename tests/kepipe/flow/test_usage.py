"""What the store's results take, and which of them can be removed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kepipe.flow.plan import Workspace
from kepipe.flow.usage import CachedResult, DiskUsage, outdated, results


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    """Two results of one stage, the second in use, one of another, and one without a record."""
    for key, pipeline, stage, started in (
        ("k1", "p", "train", 100.0), ("k2", "p", "train", 200.0), ("k3", "a", "train", 50.0), ("k4", "", "", 0.0),
    ):  # fmt: skip
        record = tmp_path / "store" / "done" / key / "record"
        record.mkdir(parents=True)
        if pipeline:
            entry = {"pipeline": pipeline, "stage": stage, "started": started, "seconds": 10.0}
            (record / "run.json").write_text(json.dumps(entry))
    workspace = Workspace(tmp_path)
    workspace.set_latest("p", "train", tmp_path / "store" / "done" / "k2")
    return workspace


def test_results_are_listed_by_stage_with_the_time_at_which_they_ended(workspace: Workspace) -> None:
    assert [(one.folder.name, one.pipeline, one.made, one.used) for one in results(workspace)] == [
        ("k4", "?", 0.0, False), ("k3", "a", 60.0, False), ("k2", "p", 210.0, True), ("k1", "p", 110.0, False),
    ]  # fmt: skip


def test_outdated_results_are_old_unused_and_not_among_the_newest(workspace: Workspace) -> None:
    def names(keep: int, before: float, found: list[CachedResult]) -> list[str]:
        return [one.folder.name for one in outdated(found, keep, before)]

    found = results(workspace)
    assert names(0, 1000.0, found) == ["k4", "k3", "k1"]
    assert names(1, 1000.0, found) == ["k1"]
    assert names(0, 110.0, found) == ["k4", "k3"]
    assert names(0, 60.0, found) == ["k4"]
    assert names(2, 1000.0, found) == []


def test_linked_files_are_counted_once_and_symbolic_links_never(tmp_path: Path) -> None:
    one, other = tmp_path / "one", tmp_path / "other"
    for folder in (one, other):
        (folder / "inner").mkdir(parents=True)
    (one / "inner" / "a").write_text("12345")
    (one / "b").hardlink_to(one / "inner" / "a")
    (one / "c").symlink_to(one / "b")
    (other / "d").hardlink_to(one / "b")
    (other / "e").write_text("12")
    usage = DiskUsage()
    assert (usage.of(one), usage.of(other), usage.of(other)) == (5, 2, 0)
