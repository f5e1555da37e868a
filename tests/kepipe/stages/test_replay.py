"""Replay: text that is new since a model was trained, with a share of the old text."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import pytest

from kepipe.data.document_files import held_out
from kepipe.flow.artifact import seal
from kepipe.flow.events import Event, Metrics
from kepipe.flow.stage import StageContext
from kepipe.stages.artifacts import Linked, Model
from kepipe.stages.replay import ReplayConfig, ReplayInputs, replay

SHARE = 0.25
BEFORE = {f"d{number}": f"old text {number}" for number in range(60)}
NOW = {**BEFORE, "d3": "changed text 3", **{f"n{number}": f"new text {number}" for number in range(24)}}
del NOW["d5"], NOW["d6"]


def sealed(folder: Path, stage: str, inputs: Mapping[str, str]) -> str:
    return seal(folder, {"stage": stage, "inputs": inputs}, "test-run")


def linked(folder: Path, documents: Mapping[str, str]) -> Linked:
    (folder / "linker").mkdir(parents=True)
    (folder / "linker" / "weights").write_text("w")
    (folder / "corpus.json").write_text(json.dumps({"held_out_share": SHARE}))
    (folder / "scores.json").write_text("{}")
    lines = (json.dumps({"id": id, "text": text, "mentions": []}) + "\n" for id, text in documents.items())
    (folder / "documents.jsonl").write_text("".join(lines))
    return Linked(folder, sealed(folder, "link", {}))


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "store" / "done"


@pytest.fixture
def inputs(store: Path) -> ReplayInputs:
    """A store with two linked texts, the shards of the first (through a replay stage), and a model of these."""
    before, now = linked(store / "before", BEFORE), linked(store / "now", NOW)
    for name in ("replayed", "shards", "model"):
        (store / name).mkdir(parents=True)
        (store / name / "file").write_text(name)
    replayed = sealed(store / "replayed", "replay", {"start": "gone", "linked": before.digest})
    shards = sealed(store / "shards", "shards", {"linked": replayed})
    (store / "model" / "kepipe.json").write_text(json.dumps({"shards": shards}))
    return ReplayInputs(now, Model(store / "model", sealed(store / "model", "pretrain", {"shards": shards})))


def run(
    inputs: ReplayInputs, folder: Path, share: float, seed: int = 0
) -> tuple[list[str], dict[str, float]]:
    """Ids of the written documents, and the logged counts."""
    folder.mkdir()
    events: list[Event] = []
    replay(inputs, ReplayConfig(share=share), StageContext(folder, folder, seed, "cpu", events.append))
    (logged,) = (event.values for event in events if isinstance(event, Metrics))
    lines = (folder / "documents.jsonl").read_text().splitlines()
    return [json.loads(line)["id"] for line in lines], dict(logged)


def test_replay_has_new_and_changed_text_and_a_share_of_the_old(inputs: ReplayInputs, tmp_path: Path) -> None:
    ids, counts = run(inputs, tmp_path / "out", 0.5)
    assert (counts["new"], counts["changed"], counts["gone"]) == (25, 1, 2)
    new = {id for id in NOW if BEFORE.get(id) != NOW[id]}
    trained_new = {id for id in new if not held_out(id, SHARE)}
    old = [id for id in ids if id not in new and not held_out(id, SHARE)]
    assert trained_new <= set(ids)
    assert counts["replayed"] == len(old) == len(trained_new)  # half of what is trained on
    assert {id for id in NOW if held_out(id, SHARE)} <= set(ids)  # all that is measured on
    in_order = [id for id in NOW if id in set(ids)]
    assert ids == sorted(in_order, key=lambda id: not held_out(id, SHARE)), "held-out documents first"
    assert (tmp_path / "out" / "linker" / "weights").read_text() == "w"
    assert Linked(tmp_path / "out", "").held_out_share() == SHARE


def test_replayed_text_is_drawn_by_the_seed(inputs: ReplayInputs, tmp_path: Path) -> None:
    first, again, other = (
        run(inputs, tmp_path / name, 0.3, seed)[0] for name, seed in (("a", 1), ("b", 1), ("c", 2))
    )
    assert first == again != other
    none, counts = run(inputs, tmp_path / "none", 0.0)
    assert counts["replayed"] == 0
    assert len(none) < len(first)


def test_replay_without_new_text_repeats_everything(
    inputs: ReplayInputs, store: Path, tmp_path: Path
) -> None:
    same = ReplayInputs(linked(store / "same", BEFORE), inputs.start)
    ids, counts = run(same, tmp_path / "out", 0.3)
    assert sorted(ids) == sorted(BEFORE)
    assert (counts["new"], counts["gone"]) == (0, 0)


def test_replay_for_a_model_of_unknown_text_takes_everything(inputs: ReplayInputs, tmp_path: Path) -> None:
    (inputs.start.folder / "kepipe.json").write_text("{}")
    ids, counts = run(inputs, tmp_path / "out", 0.3)
    assert sorted(ids) == sorted(NOW)
    assert counts["new"] == len(NOW)
