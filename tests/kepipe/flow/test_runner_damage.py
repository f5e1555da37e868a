"""Damaged results are detected, moved aside and made again."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from kepipe.flow import artifact
from kepipe.flow.artifact import CorruptArtifact, verify
from kepipe.flow.events import Event, Noted
from kepipe.flow.plan import Workspace
from kepipe.flow.runner import StageFailed
from tests.support.flow import Bench, flow

Statuses = Callable[[list[Event]], dict[str, str]]


@pytest.mark.parametrize("damage", ["change", "remove", "add", "manifest"])
def test_damaged_artifact_is_moved_aside_and_made_again(
    bench: Bench, statuses: Statuses, damage: str
) -> None:
    made, _ = bench.run(flow())
    folder = made["double"].folder
    match damage:
        case "change":
            (folder / "value.json").write_text("9")
        case "remove":
            (folder / "value.json").unlink()
        case "add":
            (folder / "stray.txt").write_text("stray")
        case "manifest":
            (folder / "artifact.json").write_text("{")
    again, events = bench.run(flow())
    warnings = [event for event in events if isinstance(event, Noted) and event.level == "warning"]
    assert len(warnings) == 1
    assert "will be made again" in warnings[0].message
    assert statuses(events)["double"] == "ran"
    assert again["add"].digest == made["add"].digest
    assert len(list((bench.workspace.store.root / "damaged").iterdir())) == 1


@pytest.mark.parametrize("moment", ["listed", "digested"])
def test_artifact_removed_during_verification_counts_as_corrupt(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    """Not an I/O error: the missing result is made again by the process with the key's lock."""
    made, _ = bench.run(flow())
    folder = made["double"].folder
    (folder / "inner").mkdir()
    look: Callable[..., Any] = {"listed": os.scandir, "digested": artifact.hash_file}[moment]

    def gone_meanwhile(place: Any) -> Any:
        if Path(place).parent == folder:
            folder.rename(folder.with_name("aside"))
        return look(place)

    monkeypatch.setattr(*((os, "scandir") if moment == "listed" else (artifact, "hash_file")), gone_meanwhile)
    with pytest.raises(CorruptArtifact, match="No such file"):
        verify(folder)


def rot(file: Path, text: str) -> None:
    """Change a file, and neither its size nor its times."""
    stat = file.stat()
    file.write_text(text)
    os.utime(file, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def test_bit_rot_in_a_small_file_is_detected_by_the_next_run(bench: Bench, statuses: Statuses) -> None:
    made, _ = bench.run(flow())
    rot(made["write"].folder / "value.json", "7")
    again, events = bench.run(flow())
    assert statuses(events)["write"] == "ran"
    assert again["add"].digest == made["add"].digest


def test_bit_rot_in_a_large_file_is_detected_after_a_week_or_thoroughly(
    bench: Bench, statuses: Statuses, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kepipe.flow.artifact.ALWAYS_DIGESTED", 0)
    made, _ = bench.run(flow())
    rot(made["write"].folder / "value.json", "7")
    verify(made["write"].folder)
    with pytest.raises(CorruptArtifact, match="does not match its digest"):
        verify(made["write"].folder, thorough=True)
    assert statuses(bench.run(flow())[1])["write"] == "cached"
    manifest = made["write"].folder / "artifact.json"
    week_ago = time.time() - 8 * 24 * 3600
    os.utime(manifest, (week_ago, week_ago))
    assert statuses(bench.run(flow())[1])["write"] == "ran"


@pytest.mark.parametrize(
    "manifest",
    ["", "[]", '{"digest": "d"}', '{"digest": "d", "maker": "m", "cache_key_inputs": {}, "files": [1]}',
     '{"digest": "d", "maker": "m", "cache_key_inputs": {}, "files": {"value.json": {}}}'],
)  # fmt: skip
def test_manifest_of_invalid_form_counts_as_damage(bench: Bench, statuses: Statuses, manifest: str) -> None:
    made, _ = bench.run(flow())
    (made["double"].folder / "artifact.json").write_text(manifest)
    assert statuses(bench.run(flow())[1])["double"] == "ran"


def test_damaged_lines_of_the_record_are_skipped(bench: Bench) -> None:
    made, _ = bench.run(flow())
    file = made["write"].folder / "record" / "metrics.jsonl"
    file.write_bytes(file.read_bytes() + b'{"step": 1\n\xff\n[1]\n{"loss": 2}\n' + b"[" * 100_000)
    assert made["write"].metrics() == [{"step": None, "value": 1.0}]


def test_nonempty_folder_in_place_of_a_link_fails_an_empty_one_is_replaced(bench: Bench) -> None:
    bench.run(flow())
    link = bench.workspace.latest("tiny", "add")
    link.unlink()
    link.mkdir()
    bench.run(flow())
    assert link.is_symlink()
    link.unlink()
    link.mkdir()
    (link / "mine").touch()
    with pytest.raises(StageFailed, match="add"):
        bench.run(flow())
    assert (link / "mine").exists()


def test_link_that_another_process_is_writing_is_left_to_it(bench: Bench) -> None:
    unfinished = bench.workspace.root / "tiny" / ".add.unfinished"
    unfinished.parent.mkdir(parents=True)
    unfinished.symlink_to("elsewhere")
    made, _ = bench.run(flow())
    assert bench.workspace.latest("tiny", "add").resolve() == made["add"].folder
    assert unfinished.readlink() == Path("elsewhere")


def test_result_of_another_workspace_is_taken_from_the_shared_store(
    tmp_path: Path, statuses: Statuses
) -> None:
    url = str(tmp_path / "shared")
    first, second = (Bench(Workspace(tmp_path / name, url)) for name in "ab")
    first.run(flow())
    _, events = second.run(flow())
    assert set(statuses(events).values()) == {"cached"}
