"""Pretraining with injected triples, and the shuffled graph as its control."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kepipe.stages.artifacts import Graph, Shards
from kepipe.stages.pretrain import PRETRAIN
from kepipe.stages.shuffled_graph import SHUFFLED_GRAPH
from kg.schema import Entity, Relation, Triple
from kg.store import open_graph
from kg.writer import write_graph
from tests.support.pretraining import SMALL, TINY
from tests.support.toy_training import EventRecorder, context_in

LENGTHS = range(8, 13)
ONE = {"method": "k-bert", "max_branches": 1, "length": 64}
MORE = {"method": "k-bert", "length": 64}


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> Graph:
    """The texts' entities are named by the length of their names; each has a fact and a second one."""
    entities = [Entity(f"Q{n}", f"name {n}") for n in LENGTHS] + [
        Entity("t", "old town"),
        Entity("h", "high hill"),
    ]
    facts = [Triple(f"Q{n}", relation, "th"[n % 2]) for n in LENGTHS for relation in ("near", "of")]
    folder = tmp_path_factory.mktemp("graph")
    write_graph(folder, entities, [Relation("near", "near"), Relation("of", "of")], {"train": facts})
    return Graph(folder, "graph", name="graph")


def run(
    shards: Shards, folder: Path, graph: Graph | None = None, **changes: Any
) -> tuple[Path, EventRecorder]:
    recorder = EventRecorder()
    context = context_in(folder, recorder)
    PRETRAIN.run(
        PRETRAIN.inputs(shards, graph=graph), PRETRAIN.config.model_validate(SMALL | changes), context
    )
    return context.out, recorder


def test_injected_triples_change_the_loss_and_not_the_labels(
    shards: Shards,
    graph: Graph,
    tmp_path: Path,
) -> None:
    plain, alone = run(shards, tmp_path / "plain")
    dressed, heard = run(shards, tmp_path / "dressed", graph, knowledge=ONE)
    again, _ = run(shards, tmp_path / "again", graph, knowledge=ONE)
    assert heard.metric("loss")[6] != alone.metric("loss")[6]
    assert heard.metric("held_out_loss")[0] == pytest.approx(alone.metric("held_out_loss")[0], abs=0.2)
    for name in ("model.safetensors", "kepipe.json"):
        assert (dressed / name).read_bytes() == (again / name).read_bytes()
        assert (dressed / name).read_bytes() != (plain / name).read_bytes()
    assert json.loads((dressed / "kepipe.json").read_text())["graph"] == "graph"


@pytest.mark.parametrize(
    ("family", "objective", "methods"),
    [("gpt2", "causal-lm", [MORE]), ("roberta", "mlm", ["ernie-baidu", MORE])],
)
def test_injection_with_other_families_learns(
    shards: Shards,
    graph: Graph,
    tmp_path: Path,
    family: str,
    objective: str,
    methods: list[Any],
) -> None:
    base = {"family": family, **TINY}
    changes: dict[str, Any] = {"objective": objective, "knowledge": methods}
    _, recorder = run(shards, tmp_path, graph, base=base, **changes, steps=30, learning_rate=3e-3)
    losses = recorder.metric("held_out_loss")
    assert losses[30] < losses[0] - 0.1


def test_injection_without_a_graph_is_rejected(shards: Shards, tmp_path: Path) -> None:
    """The arm `graph-off` leaves the method out; a method without its graph is an error."""
    with pytest.raises(ValueError, match=r"k-bert needs a graph: set `inputs: \{graph: graph\}`"):
        run(shards, tmp_path, knowledge=MORE)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"knowledge": {"method": "k-bert", "length": 16}}, "16 would cut the text"),
        (
            {"base": {"family": "t5", **TINY}, "objective": "span-corruption", "knowledge": MORE},
            "does not predict tokens at their",
        ),
        ({"knowledge": {"method": "k-bert", "choice": "plausible"}}, "needs entity vectors"),
    ],
)
def test_incompatible_injection_settings_are_rejected(
    shards: Shards,
    graph: Graph,
    tmp_path: Path,
    changes: dict[str, Any],
    message: str,
) -> None:
    with pytest.raises(ValueError, match=message):
        run(shards, tmp_path, graph, **changes)


def test_shuffled_graph_has_the_same_shape(graph: Graph, tmp_path: Path) -> None:
    recorder = EventRecorder()
    context = context_in(tmp_path, recorder)
    SHUFFLED_GRAPH.run(SHUFFLED_GRAPH.inputs(graph), SHUFFLED_GRAPH.config(), context)
    made, true = open_graph(context.out), open_graph(graph.folder)
    assert made.describe() == true.describe()
    assert list(made.labels) == list(true.labels)
    assert np.bincount(made.triples()[:, 2]).tolist() == np.bincount(true.triples()[:, 2]).tolist()
