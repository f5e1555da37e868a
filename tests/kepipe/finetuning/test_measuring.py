"""Tokens that do not fit into a task's rows are counted and reported."""

from __future__ import annotations

from pathlib import Path

import pytest

from kepipe.flow.events import Metrics
from kepipe.stages.artifacts import Graph
from tests.support.tasks import tokenizer
from tests.support.towns import SIDE, tune, write_world
from tests.support.toy_training import EventRecorder


@pytest.mark.parametrize(("length", "cut_off"), [(64, False), (8, True)])
def test_read_positions_cut_off_by_triples_are_reported(length: int, cut_off: bool, tmp_path: Path) -> None:
    """GPT reads the marker after a mention, and so after its triples."""
    words = tmp_path / "words"
    tokenizer().save(words)
    recorder, graph = EventRecorder(), Graph(write_world(tmp_path / "graph", SIDE), "")
    method = {"method": "k-bert", "length": length}
    changes = {
        "base": {"family": "gpt2", "layers": 1, "hidden": 16, "heads": 2},
        "entity_markers": True,
        "knowledge": method,
    }
    tune(tmp_path, str(words), {"graph": graph}, recorder, epochs=1, **changes)
    message = "tokens that the head reads are cut off because `knowledge` adds tokens to the rows"
    assert (message in recorder.notes()) == cut_off
    counts = [
        e.values["read_cut_off"] for e in recorder.events if isinstance(e, Metrics) and "rows" in e.values
    ]
    assert [count > 0 for count in counts] == [cut_off]
