"""Journals: events are read back as written, also if the writing process is killed."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kepipe.flow.events import (
    Dataset,
    Event,
    Metrics,
    ModelOffered,
    Noted,
    Progressed,
    RunEnded,
    RunStarted,
    StageCached,
    StageEnded,
    StageStarted,
    WeightsKept,
)
from kepipe.flow.journal import KINDS, Journal, decode, encode, is_written, read
from tests.support.waiting import TIMEOUT

EVERY: list[Event] = [
    RunStarted(run="r", pipeline="p", config={"a": {"b": [1, None]}}, tags={"seed": "0"}),
    StageCached(run="r", stage="graph", key="k", folder="f", digest="d", maker="q"),
    StageStarted(
        run="r", stage="s", kind="x", key="k", config={}, inputs={"i": "d"}, upstream={}, resumed=True
    ),
    Metrics(run="r", stage="s", values={"loss": 0.1}, step=3),
    Dataset(run="r", stage="s", name="维基", digest="d", profile={"documents": 3, "language": "zh"}),
    Noted(run="r", stage="s", level="warning", message="two\nlines"),
    WeightsKept(run="r", stage="s", step=3, kept=(2, 3), folder="f", measured=("loss",)),
    StageEnded(run="r", stage="s", status="finished", seconds=1.5, folder="f", digest="d"),
    ModelOffered(
        run="r", stage="s", name="m", folder="f", digest="d", metrics={"mrr": 0.5}, gate={}, tags={}
    ),
    RunEnded(run="r", status="finished", seconds=2.0),
]


def events(file: Path) -> list[Event]:
    return [entry.event for entry in read(file)]


def test_every_event_but_progress_is_read_back(tmp_path: Path) -> None:
    assert {type(event) for event in EVERY} == set(KINDS.values()) - {Progressed, Event}
    file = tmp_path / "tracking" / "runs" / "r.jsonl"
    with Journal(file) as journal:
        for event in EVERY:
            journal(event)
        journal(Progressed(what="x", done=1, total=2, unit=""))
    assert events(file) == EVERY
    with Journal(file) as journal:
        journal(EVERY[0])
    assert events(file) == [*EVERY, EVERY[0]]


@given(st.dictionaries(st.text(), st.floats(allow_nan=False)), st.none() | st.integers())
def test_metrics_keep_their_exact_values(values: dict[str, float], step: int | None) -> None:
    event = Metrics(run="r", at=1.5, values=values, step=step)
    assert decode(encode(event)) == event


@given(st.integers(0, 400))
def test_truncated_last_line_is_ignored(tmp_path_factory: pytest.TempPathFactory, cut: int) -> None:
    file = tmp_path_factory.mktemp("torn") / "r.jsonl"
    lines = [encode(event) for event in EVERY[:4]]
    whole = b"".join(lines)
    file.write_bytes(whole[: len(whole) - cut])
    kept = len(whole) - cut
    expected = [event for n, event in enumerate(EVERY[:4]) if sum(map(len, lines[: n + 1])) <= kept]
    assert events(file) == expected


def test_reading_resumes_at_an_offset(tmp_path: Path) -> None:
    file = tmp_path / "r.jsonl"
    file.write_bytes(b"".join(encode(event) for event in EVERY))
    ends = [entry.end for entry in read(file)]
    assert [entry.event for entry in read(file, ends[3])] == EVERY[4:]
    assert list(read(file, ends[-1])) == []


def test_invalid_line_is_reported_with_its_offset(tmp_path: Path) -> None:
    file = tmp_path / "r.jsonl"
    first = encode(EVERY[0])
    file.write_bytes(first + b"{broken\n" + b'{"event": "Noted", "colour": 1}\n' + encode(EVERY[-1]))
    with pytest.raises(ValueError, match=f"r.jsonl: byte {len(first)}: "):
        events(file)
    bad: list[str] = []
    assert [entry.event for entry in read(file, on_bad=bad.append)] == [EVERY[0], EVERY[-1]]
    assert len(bad) == 2
    assert "unexpected or invalid fields" in bad[1]


def test_killed_writer_releases_its_lock_and_leaves_its_events(tmp_path: Path) -> None:
    file = tmp_path / "r.jsonl"
    code = (
        "import sys, time\nfrom pathlib import Path\nfrom kepipe.flow.journal import Journal\n"
        "from kepipe.flow.events import Noted\njournal = Journal(Path(sys.argv[1]))\n"
        "journal(Noted(level='info', message='there'))\nprint('written', flush=True)\n"
        f"time.sleep({TIMEOUT})\n"
    )
    writer = subprocess.Popen([sys.executable, "-c", code, str(file)], stdout=subprocess.PIPE)
    assert writer.stdout is not None
    assert writer.stdout.readline() == b"written\n"
    assert is_written(file)
    with pytest.raises(ValueError, match="another process writes"):
        Journal(file)
    writer.send_signal(signal.SIGKILL)
    writer.wait()
    writer.stdout.close()
    assert not is_written(file)
    (event,) = events(file)
    assert isinstance(event, Noted)


@pytest.mark.parametrize(
    "fields",
    [
        {"event": "Metrics", "values": {"loss": "x"}},
        {"event": "Metrics", "values": [1]},
        {"event": "Metrics", "values": {}, "at": "noon"},
        {"event": "StageEnded", "status": "odd", "seconds": 1.0},
        {"event": "StageEnded", "status": "finished", "seconds": None},
    ],
)
def test_event_with_values_of_the_wrong_type_is_rejected(fields: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="event with unexpected or invalid fields"):
        decode(json.dumps(fields).encode())
