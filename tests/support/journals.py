"""Journals of runs in the runner's format, for tests of delivery."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from kepipe.flow.events import (
    Dataset,
    Event,
    Metrics,
    ModelOffered,
    Noted,
    RunEnded,
    RunStarted,
    StageCached,
    StageEnded,
    StageStarted,
)
from kepipe.flow.journal import encode

BEGIN = 1_700_000_000.0


def write(file: Path, events: Sequence[Event]) -> Path:
    """A journal whose writing process has ended."""
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(b"".join(encode(event) for event in events))
    return file


def artifact(folder: Path, metrics: Sequence[dict[str, Any]] = ()) -> Path:
    """A stage's folder with files to look at, weights, and its record."""
    (folder / "pictures").mkdir(parents=True)
    (folder / "record").mkdir()
    (folder / "report.html").write_text("<p>fine</p>")
    (folder / "pictures" / "graph.svg").write_text("<svg/>")
    (folder / "scores.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(b"weights")
    (folder / "record" / "metrics.jsonl").write_text("".join(json.dumps(entry) + "\n" for entry in metrics))
    return folder


def run(
    pipeline: str, name: str, folder: Path, steps: range = range(5), resumed: bool = False
) -> Iterator[Event]:
    """One run: a cached stage, one that trains for some steps, an end."""
    clock = iter(range(1000))

    def stamp(stage: str = "") -> dict[str, Any]:
        return {"run": name, "stage": stage, "at": BEGIN + next(clock)}

    tags = {"seed": "7", "git.commit": "abc123+changes", "kepipe.version": "0.1.0"}
    yield RunStarted(
        **stamp(), pipeline=pipeline, config={"seed": 7, "stages": {"train": {"steps": 5}}}, tags=tags
    )
    yield StageCached(**stamp("graph"), key="k0", folder="f", digest="d0", maker="earlier")
    yield StageStarted(
        **stamp("train"), kind="pretrain", key="k1", config={"steps": 5, "base": {"size": "tiny"}},
        inputs={"shards": "d0"}, upstream={"shards": "earlier"}, resumed=resumed,
    )  # fmt: skip
    yield Dataset(**stamp("train"), name="shards", digest="d" * 64, profile={"tokens": 1000})
    for step in steps:
        yield Metrics(**stamp("train"), values={"loss": 1 / (step + 1), "hits@10": step / 10}, step=step)
    yield Metrics(**stamp("train"), values={"loss": 0.125})
    yield Noted(**stamp("train"), level="warning", message="a bit short")
    yield StageEnded(
        **stamp("train"), status="finished", seconds=3.5, folder=str(folder), digest=f"digest-{name}"
    )
    yield RunEnded(**stamp(), status="finished", seconds=4.0)


def offered(name: str, folder: Path, digest: str, value: float, run: str = "r", **gate: Any) -> ModelOffered:
    """A model offered to the registry, with a value of the gate's metric."""
    gate = {"metric": "entity_cloze/mrr", "better": "higher", "minimum": None, **gate}
    metrics = {"entity_cloze/mrr": value, "entity_cloze/hits@1": value / 2}
    return ModelOffered(
        run=run,
        stage="train",
        name=name,
        folder=str(folder),
        digest=digest,
        metrics=metrics,
        gate=gate,
        tags={},
    )
