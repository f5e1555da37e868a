"""Checkpoints: complete ones are loaded, damaged ones skipped."""

from __future__ import annotations

import json
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from kepipe.training import checkpoint


def write(root: Path, *steps: int) -> None:
    for step in steps:
        checkpoint.save(root, step, {"weights": {"w": torch.full((4,), float(step))}}, {"note": step})


def test_saved_checkpoints_are_loaded_newest_first(tmp_path: Path) -> None:
    write(tmp_path, 1, 20, 3)
    found = list(checkpoint.intact(tmp_path, pytest.fail))
    assert [one.step for one in found] == [20, 3, 1]
    assert found[0].state == {"note": 20}
    assert torch.equal(found[0].tensors("weights")["w"], torch.full((4,), 20.0))


def test_groups_without_tensors_have_no_file_and_steps_are_listed_in_order(tmp_path: Path) -> None:
    made = checkpoint.save(tmp_path, 123_456_789, {"weights": {"w": torch.ones(2)}, "memory": {}}, {})
    assert (made.folder.name, sorted(made.files)) == ("step-123456789", ["weights.safetensors"])
    assert made.tensors("memory") == {}
    assert not made.is_sharded
    write(tmp_path, 20, 3)
    (tmp_path / "step-12").mkdir()
    assert checkpoint.steps(tmp_path) == [3, 20, 123_456_789]


def test_message_of_a_checkpoint_that_could_not_be_written(tmp_path: Path) -> None:
    (tmp_path / ".step-00000007.unfinished").mkdir()
    text = checkpoint.no_room(tmp_path, 7, OSError("full"))
    assert "cannot write the checkpoint of step 7 (full; " in text
    assert "none is intact" in text
    free = float(text.partition("full; ")[2].partition(" MB free")[0].replace(",", ""))
    assert free == pytest.approx(shutil.disk_usage(tmp_path).free / 1e6, rel=0.2)
    assert (tmp_path / ".step-00000007.unfinished").exists(), "a process may be writing it"


def test_equal_tensors_are_saved_as_equal_bytes(tmp_path: Path) -> None:
    tensors = {"b": torch.arange(3), "a": torch.ones(2, 2)}
    checkpoint.save(tmp_path / "one", 1, {"weights": tensors}, {})
    checkpoint.save(tmp_path / "two", 1, {"weights": dict(reversed(tensors.items()))}, {})
    file = "step-00000001/weights.safetensors"
    assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()


def damage_bytes(folder: Path) -> None:
    file = folder / "weights.safetensors"
    file.write_bytes(file.read_bytes()[:-1] + b"\x07")


def damage_length(folder: Path) -> None:
    file = folder / "weights.safetensors"
    file.write_bytes(file.read_bytes()[:-9])


def lose_tensors(folder: Path) -> None:
    (folder / "weights.safetensors").unlink()


def lose_state(folder: Path) -> None:
    (folder / "state.json").unlink()


def cut_state(folder: Path) -> None:
    file = folder / "state.json"
    file.write_text(file.read_text()[:20])


def wrong_state(folder: Path) -> None:
    (folder / "state.json").write_text(json.dumps(["step", 2]))


@pytest.mark.parametrize(
    "harm", [damage_bytes, damage_length, lose_tensors, lose_state, cut_state, wrong_state]
)
def test_damaged_checkpoint_is_skipped_with_a_message(tmp_path: Path, harm) -> None:  # type: ignore[no-untyped-def]
    write(tmp_path, 1, 2)
    harm(tmp_path / "step-00000002")
    messages: list[str] = []
    assert [one.step for one in checkpoint.intact(tmp_path, messages.append)] == [1]
    assert "step-00000002" in messages[0]


def test_unfinished_checkpoint_is_ignored_and_removed(tmp_path: Path) -> None:
    write(tmp_path, 1)
    (tmp_path / "step-00000001").rename(tmp_path / ".step-00000001.unfinished")
    assert list(checkpoint.intact(tmp_path, pytest.fail)) == []
    assert list(tmp_path.iterdir()) == []


def test_non_checkpoint_under_a_checkpoint_name_is_replaced(tmp_path: Path) -> None:
    """A file, a broken link and a folder with other files, each under a checkpoint's name."""
    root, elsewhere = tmp_path / "checkpoints", tmp_path / "elsewhere"
    write(root, 1)
    (root / "step-00000002").write_text("no folder")
    (root / "step-00000003").symlink_to("nowhere")
    (root / "step-00000004").mkdir()
    elsewhere.mkdir()
    (elsewhere / "kept").touch()
    (root / "step-00000005").symlink_to(elsewhere)
    (root / "step-abc").mkdir()
    messages: list[str] = []
    assert [one.step for one in checkpoint.intact(root, messages.append)] == [1]
    assert len(messages) == 5
    write(root, 2, 3, 4, 5)
    assert [one.step for one in checkpoint.intact(root, messages.append)] == [5, 4, 3, 2, 1]
    (root / "step-00000006").symlink_to(elsewhere)
    checkpoint.prune(root, {4})
    assert [place.name for place in root.iterdir()] == ["step-00000004"]
    assert (elsewhere / "kept").exists()


def test_prune_keeps_the_given_steps(tmp_path: Path) -> None:
    write(tmp_path, 1, 2, 3, 4)
    checkpoint.prune(tmp_path, {2, 4})
    assert sorted(folder.name for folder in tmp_path.iterdir()) == ["step-00000002", "step-00000004"]


SAVE_BIG = """
import resource, sys, torch
from pathlib import Path
from kepipe.training import checkpoint
root = Path(sys.argv[1])
checkpoint.save(root, 1, {"weights": {"w": torch.ones(10)}}, {})
(root / "step-abc").mkdir()
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))
try:
    checkpoint.save(root, 2, {"weights": {"w": torch.ones(100_000)}}, {})
except OSError as error:
    print(error)
"""


def test_full_disk_is_reported_and_keeps_the_previous_checkpoint(tmp_path: Path) -> None:
    """The disk is full for this process at 100 kB a file."""
    assert resource.RLIMIT_FSIZE is not None
    done = subprocess.run(
        [sys.executable, "-c", SAVE_BIG, tmp_path], capture_output=True, text=True, check=True
    )
    assert "cannot write the checkpoint of step 2" in done.stdout
    assert "step-00000001 is intact" in done.stdout
    (tmp_path / "step-abc").rmdir()
    assert [one.step for one in checkpoint.intact(tmp_path, pytest.fail)] == [1]
    assert [folder.name for folder in tmp_path.iterdir()] == ["step-00000001"]
