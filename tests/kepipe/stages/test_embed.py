"""The stage `embed`: scored vectors; a killed run resumes bit-identically."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from kepipe.flow.events import Event, Metrics, Noted
from kepipe.flow.stage import Nothing, Planned, StageContext
from kepipe.stages.artifacts import Graph
from kepipe.stages.embed import EMBED, EmbedConfig, EmbedInputs
from kepipe.stages.graph import GRAPH, GraphConfig
from kg.ranking import Translation, filtered_ranks, summarise
from kg.store import open_graph
from kg.vectors import map_table, open_vectors
from tests.support.stages import run_stage

CONFIG = EmbedConfig(dim=8, epochs=30, negatives=64, learning_rate=0.1)


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> Graph:
    folder = tmp_path_factory.mktemp("graph")
    steps = [f"e{row:02}\tstep{by}\te{row + by:02}" for row in range(60) for by in (1, 2, 5) if row + by < 60]
    (folder / "triples.tsv").write_text("\n".join(steps))
    (folder / "out").mkdir()
    config = GraphConfig(source="native", path=folder, valid=0.1, test=0.1)
    GRAPH.run(Nothing(), config, StageContext(folder / "out", folder, 0, "cpu", lambda _: None))
    return Graph(folder / "out", "digest")


def run(graph: Graph, folder: Path, config: EmbedConfig = CONFIG) -> list[Event]:
    return run_stage(EMBED, EmbedInputs(graph), config, folder)


def test_embed_writes_vectors_scores_and_metrics(graph: Graph, tmp_path: Path) -> None:
    events = run(graph, tmp_path)
    vectors = open_vectors(tmp_path / "out")
    assert vectors.matrix.shape == (60, 8)
    assert sorted(vectors.ids)[:2] == ["e00", "e01"]
    scores = json.loads((tmp_path / "out/scores.json").read_text())
    assert list(scores) == ["valid", "test", "popularity", "random"]
    stored = open_graph(graph.folder)
    written = Translation(vectors.matrix, map_table(tmp_path / "out/vectors.safetensors", "relations"), 2)
    ranks = filtered_ranks(stored, stored.triples("test"), written)
    assert scores["test"] == summarise(ranks)
    metrics = [event for event in events if isinstance(event, Metrics)]
    assert [event.step for event in metrics] == [*range(1, 31), None]
    assert metrics[-2].values["loss"] < metrics[0].values["loss"] / 2
    assert metrics[-1].values["test_mrr"] == scores["test"]["mrr"]


def test_embed_warm_start_continues_from_given_vectors(graph: Graph, tmp_path: Path) -> None:
    first = run(graph, tmp_path / "first")
    changes = {"epochs": 2, "learning_rate": 0.01, "warm_start": tmp_path / "first/out"}
    config = EmbedConfig(**(CONFIG.model_dump() | changes))
    then = run(graph, tmp_path / "then", config)
    losses = [event.values["loss"] for event in (*first, *then) if isinstance(event, Metrics) and event.step]
    assert losses[30] < losses[0] / 2
    assert any(isinstance(event, Noted) and "60 of 60 entities start" in event.message for event in then)
    for changed, said in (
        ({"model": "DistMult"}, "vectors of TransE, from which DistMult cannot start: set `model: TransE`"),
        ({"dim": 16}, "vectors of width 8, from which width 16 cannot start: set `dim: 8`"),
        ({"warm_start": tmp_path}, f"{tmp_path}: holds no vectors (vectors.safetensors is missing)"),
        ({}, ""),
    ):
        other = EmbedConfig(**(CONFIG.model_dump() | changes | changed))
        conflicts = [
            (conflict.key, str(conflict)) for conflict in EMBED.conflicts(Planned("embed", other, {}))
        ]
        assert conflicts == ([("warm_start", said)] if said else [])
    assert EMBED.fingerprint(CONFIG) == {}
    files = {"vectors.safetensors", "entities.txt", "entities.safetensors", "relations.txt"}
    assert EMBED.fingerprint(config).keys() == files


def test_killed_embed_resumes_bit_identically(graph: Graph, tmp_path: Path) -> None:
    """A real kill -9 in the middle of training, after its first checkpoint."""
    checkpoint = tmp_path / "killed/scratch/embedding.safetensors"
    program = f"""
import kg.embedding
from functools import partial
from pathlib import Path
from kepipe.stages.artifacts import Graph
from kepipe.stages.embed import EMBED, EmbedConfig, EmbedInputs
from tests.support.killing import kill_when
from tests.support.stages import run_stage
kill_when(Path({str(checkpoint)!r}).exists)
kg.embedding.train = partial(kg.embedding.train, save_every=0.0)
graph = Graph(Path({str(graph.folder)!r}), "digest")
config = EmbedConfig(**{CONFIG.model_dump()!r})
run_stage(EMBED, EmbedInputs(graph), config, Path({str(tmp_path / "killed")!r}))
"""
    killed = subprocess.run([sys.executable, "-c", program], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert not (tmp_path / "killed/out/scores.json").exists()
    events = run(graph, tmp_path / "killed")
    assert next(event for event in events if isinstance(event, Metrics)).step != 1  # it went on, not anew
    run(graph, tmp_path / "whole")
    files = {
        name: {f.name: f.read_bytes() for f in (tmp_path / name / "out").iterdir()}
        for name in ("killed", "whole")
    }
    assert files["killed"] == files["whole"]
