"""Vectors of a graph that has grown: known ones are kept, new ones composed of neighbours."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from kepipe.config import ConfigConflict
from kepipe.flow.artifact import seal
from kepipe.flow.events import Event, Metrics, Noted
from kepipe.flow.stage import Nothing, Planned, StageContext
from kepipe.stages.artifacts import Graph, Model
from kepipe.stages.embed import EMBED, EmbedConfig, EmbedInputs
from kepipe.stages.graph import GRAPH, GraphConfig
from kg.changes import trained_on
from kg.store import open_graph
from kg.vectors import open_vectors
from tests.support.stages import run_stage

pytest.importorskip("dgl")
SETTINGS = {"dim": 8, "epochs": 30, "negatives": 64, "learning_rate": 0.1}
CONFIG = EmbedConfig(**SETTINGS)  # type: ignore[arg-type]
STEPS = [f"e{row:02}\tstep{by}\te{row + by:02}" for row in range(60) for by in (1, 2, 5) if row + by < 60]
NEW = ["e30\tstep1\tnew", "new\tstep1\te32", "e29\tstep2\tnew", "new\tstep5\tfar", "alone\tapart\taside"]


def graph_of(folder: Path, lines: list[str], digest: str) -> Graph:
    (folder / "out").mkdir(parents=True)
    (folder / "triples.tsv").write_text("\n".join(lines))
    context = StageContext(folder / "out", folder, 0, "cpu", lambda _: None)
    GRAPH.run(Nothing(), GraphConfig(source="native", path=folder, valid=0.1, test=0.1), context)
    return Graph(folder / "out", digest)


@pytest.fixture(scope="module")
def before(tmp_path_factory: pytest.TempPathFactory) -> EmbedInputs:
    """A graph, and a model that was trained with its vectors, in a store."""
    store = tmp_path_factory.mktemp("workspace") / "store" / "done"
    graph = graph_of(store.parent / "graph", STEPS, "graph-1")
    shutil.copytree(graph.folder, store_of(store, "graph"))
    graph = Graph(graph.folder, seal(store / "graph", {"stage": "graph", "inputs": {}}, "run"))
    run_stage(EMBED, EmbedInputs(graph), CONFIG, store.parent / "embed")
    (store.parent / "embed" / "out").rename(store / "embed")
    inputs = {"stage": "embed", "inputs": {"graph": graph.digest}, "config": CONFIG.model_dump(mode="json")}
    vectors = seal(store / "embed", inputs, "run")
    (store / "model").mkdir()
    (store / "model" / "kepipe.json").write_text(json.dumps({"vectors": vectors}))
    return EmbedInputs(
        graph, Model(store / "model", seal(store / "model", {"stage": "pretrain", "inputs": {}}, "run"))
    )


def store_of(store: Path, name: str) -> Path:
    store.mkdir(parents=True, exist_ok=True)
    return store / name


@pytest.fixture(scope="module")
def grown(tmp_path_factory: pytest.TempPathFactory) -> Graph:
    return graph_of(tmp_path_factory.mktemp("grown"), STEPS + NEW, "graph-2")


def run(inputs: EmbedInputs, config: EmbedConfig, folder: Path) -> tuple[list[str], dict[str, float]]:
    """The messages, and the final metrics."""
    events: list[Event] = run_stage(EMBED, inputs, config, folder)
    logged: dict[str, float] = {}
    for event in events:
        if isinstance(event, Metrics) and event.step is None:
            logged |= event.values
    return [event.message for event in events if isinstance(event, Noted)], logged


def test_unchanged_graph_keeps_its_vectors(before: EmbedInputs, tmp_path: Path) -> None:
    notes, _ = run(before, CONFIG, tmp_path)
    assert notes == ["the graph has not changed: its vectors are kept"]
    assert before.start is not None
    old = before.start.folder.parent / "embed"
    for name in ("vectors.safetensors", "entities.txt", "relations.txt", "scores.json"):
        assert (tmp_path / "out" / name).read_bytes() == (old / name).read_bytes()


def test_new_entities_get_vectors_and_known_vectors_stay(
    before: EmbedInputs, grown: Graph, tmp_path: Path
) -> None:
    inputs = EmbedInputs(grown, before.start)
    notes, logged = run(inputs, EmbedConfig(**SETTINGS, epochs_again=0), tmp_path)  # type: ignore[arg-type]
    assert notes[0] == (
        "60 entities keep their vectors, 4 are new, 0 were removed: 2 of the new ones get a vector from their "
        "neighbours, 2 have no triple with another entity"
    )
    assert (logged["known_entities"], logged["new_entities"], logged["placed_entities"]) == (60, 4, 2)
    assert before.start is not None
    old, new = open_vectors(before.start.folder.parent / "embed"), open_vectors(tmp_path / "out")
    assert set(new.ids) == {*old.ids, "new", "far"}
    np.testing.assert_array_equal(new.matrix[new.rows(old.ids)], old.matrix)
    table = {id: new.matrix[row] for row, id in enumerate(new.ids)}
    distances = {id: float(np.linalg.norm(table["new"] - table[id])) for id in old.ids}
    assert min(distances, key=distances.__getitem__) in {"e29", "e30", "e31", "e32", "e33"}
    run(inputs, EmbedConfig(**SETTINGS, epochs_again=0), tmp_path / "again")  # type: ignore[arg-type]
    assert (tmp_path / "again/out/vectors.safetensors").read_bytes() == (
        tmp_path / "out/vectors.safetensors"
    ).read_bytes()


def test_held_out_triples_trained_on_earlier_are_excluded(
    before: EmbedInputs, grown: Graph, tmp_path: Path
) -> None:
    """The grown graph is split again: a fact that was trained on earlier may be held out now."""
    notes, logged = run(EmbedInputs(grown, before.start), CONFIG, tmp_path)
    stored = open_graph(grown.folder)
    held_out = {split: stored.triples(split) for split in ("valid", "test")}
    seen = {
        split: trained_on(triples, stored, open_graph(before.graph.folder))
        for split, triples in held_out.items()
    }
    assert sum(mask.sum() for mask in seen.values()) > 10
    for split, mask in seen.items():
        told = f"{int(mask.sum())} held-out triples were trained on in earlier runs and are not scored"
        assert told in notes
        assert logged[f"{split}_n"] == (~mask).sum()


def test_known_vectors_are_trained_for_some_epochs(before: EmbedInputs, grown: Graph, tmp_path: Path) -> None:
    _, logged = run(EmbedInputs(grown, before.start), CONFIG, tmp_path)
    assert logged["placed_entities"] == 2
    assert before.start is not None
    old, new = open_vectors(before.start.folder.parent / "embed"), open_vectors(tmp_path / "out")
    assert len(new.ids) == 64
    moved = np.linalg.norm(new.matrix[new.rows(old.ids)] - old.matrix, axis=1)
    assert 0 < moved.mean() < 0.2 * np.linalg.norm(old.matrix, axis=1).mean()


def test_vectors_with_other_settings_are_no_start(before: EmbedInputs, grown: Graph, tmp_path: Path) -> None:
    config = EmbedConfig(dim=4, epochs=1)
    notes, _ = run(EmbedInputs(grown, before.start), config, tmp_path / "other")
    assert notes[0] == "the vectors of `` have other settings (dim 8): all vectors are trained from scratch"
    (tmp_path / "store" / "done" / "model").mkdir(parents=True)
    (tmp_path / "store" / "done" / "model" / "kepipe.json").write_text("{}")
    model = Model(tmp_path / "store" / "done" / "model", "digest", name="champion")
    notes, _ = run(EmbedInputs(grown, model), config, tmp_path / "none")
    assert notes[0] == "`champion` has no vectors in the store: all vectors are trained from scratch"


def test_incompatible_embed_settings_are_rejected(before: EmbedInputs) -> None:
    with pytest.raises(ValueError, match="`epochs_again: 0` is only supported for TransE; DistMult needs"):
        EmbedConfig(model="DistMult", epochs_again=0)
    assert before.start is not None
    config = EmbedConfig(warm_start=before.start.folder)
    planned = Planned("embed", config, {"start": [Planned("champion", None, {})]})
    (conflict,) = EMBED.conflicts(planned)
    assert isinstance(conflict, ConfigConflict)
    assert conflict.key == "warm_start"
