"""Objectives on rows with triples: what is hidden does not depend on the graph, and the model learns from it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from kepipe.batch import Sequences
from kepipe.inject.injector import Injector
from kepipe.inject.settings import Inject
from kepipe.models.families import Base, build
from kepipe.objectives import table
from kepipe.objectives.injected import Injected
from kg.schema import Entity, Relation, Triple
from kg.store import Graph
from kg.writer import write_graph
from tests.kepipe.objectives.rows import MASK, TOKENIZER, VOCABULARY, rows

OBJECTIVES = ["mlm", "ernie-baidu", "span-masking", "unilm", "causal-lm", "prefix-lm"]


class Words:
    """A tokenizer of names that are numbers."""

    pad = 0

    def encode(self, texts: list[str]) -> Any:
        from kepipe.corpus.tokenizer import Encoded

        ids = [[int(piece) for piece in text.split()] for text in texts]
        flat = np.array([piece for row in ids for piece in row], np.int64)
        starts = np.concatenate([np.arange(len(row)) + 1 for row in ids])
        lengths = np.array([len(row) for row in ids])
        return Encoded(flat, starts, starts + 1, np.ones(len(flat), np.bool_), lengths)


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> Graph:
    """Every entity is of one of three kinds, whose names are the tokens 90, 91, 92; the relation's name is 80."""
    kinds = [Entity(f"kind {n}", str(90 + n)) for n in range(3)]
    entities = [Entity(f"e{n}", f"{25 + n}") for n in range(12)]
    facts = [Triple(f"e{n}", "r", f"kind {n % 3}") for n in range(12)]
    folder: Path = tmp_path_factory.mktemp("kinds")
    return write_graph(folder, [*entities, *kinds], [Relation("r", "80")], {"train": facts})


def injected(graph: Graph, name: str, causal: bool = False, **settings: Any) -> Injected:
    injector = Injector(graph, Words(), Inject(**settings), causal=causal)  # type: ignore[arg-type]
    return Injected(
        table.build(table.read(name), TOKENIZER), injector, injector.map_ids([f"e{n}" for n in range(9)])
    )


def linked(**changes: Any) -> Sequences:
    plain = rows(**changes)
    unit = plain.units["entity"]
    return rows(**changes, entities=np.where((unit >= 0) & (unit % 2 == 0), unit, -1))


@pytest.mark.parametrize("name", OBJECTIVES)
@pytest.mark.parametrize("pairs", [False, True])
def test_the_same_tokens_are_asked_for_with_and_without_a_graph(graph: Graph, name: str, pairs: bool) -> None:
    objective, sequences = injected(graph, name), linked(pairs=pairs)
    plain = objective.objective.corrupt(sequences, np.random.default_rng(3), 0.9)
    batch = objective.corrupt(sequences, np.random.default_rng(3), 0.9)
    assert plain.labels is not None
    assert batch.labels is not None
    assert batch.branch is not None
    assert batch.positions is not None
    assert plain.selected is not None
    assert batch.selected is not None
    assert batch.labels.tolist() == plain.labels.tolist()
    assert objective.counts(batch) == objective.objective.counts(plain)
    for field in ("tokens", "documents", "segments", "prefix"):
        one, other = getattr(batch, field), getattr(plain, field)
        assert (one is None) == (other is None)
        if one is not None:
            assert one.flatten()[batch.selected].tolist() == other.flatten()[plain.selected].tolist(), field
    trunk = (batch.branch == 0) & (batch.documents > 0)
    assert batch.tokens[trunk].tolist() == plain.tokens[plain.documents > 0].tolist()
    assert set(batch.tokens[batch.branch > 0].tolist()) == {80, 90, 91, 92}
    at = batch.selected % batch.tokens.shape[1]
    width = plain.tokens.shape[1]
    assert batch.positions.flatten()[batch.selected].tolist() == (plain.selected % width).tolist()
    assert (at >= plain.selected % width).all()
    assert batch.visibility == plain.visibility


def test_upstream_does_not_ask_for_what_was_cut_off(graph: Graph) -> None:
    objective = injected(graph, "mlm", length=20, upstream=True)
    batch = objective.corrupt(linked(), np.random.default_rng(0), 0.0)
    plain = objective.objective.corrupt(linked(), np.random.default_rng(0), 0.0)
    assert batch.labels is not None
    assert plain.labels is not None
    assert batch.selected is not None
    assert batch.tokens.shape[1] == 20
    assert 0 < len(batch.labels) < len(plain.labels)
    masked = batch.tokens.flatten()[batch.selected] == MASK
    assert 0.6 < masked.float().mean() <= 1.0


def test_a_model_without_the_tree_learns_the_plain_objective(graph: Graph) -> None:
    """Without mentions the batch is the plain one, and so is the loss."""
    objective, sequences = injected(graph, "mlm"), rows()
    model = build(Base(layers=1, hidden=32, heads=2), VOCABULARY, seed=0).eval()
    batch = objective.corrupt(sequences, np.random.default_rng(0), 0.0)
    plain = objective.objective.corrupt(sequences, np.random.default_rng(0), 0.0)
    with torch.no_grad():
        assert objective.loss(model, batch)["mlm"] == pytest.approx(
            float(objective.objective.loss(model, plain)["mlm"])
        )


@pytest.mark.parametrize(("family", "name"), [("bert", "mlm"), ("gpt2", "causal-lm")])
def test_knowledge_reaches_the_prediction(graph: Graph, family: Any, name: str) -> None:
    """The token after a mention is its entity's kind, which the graph alone tells: new entities each time.

    Chance is log 3; a model that reads branches comes close to 0 on that token.
    """
    generator = np.random.default_rng(0)

    def batch_of(number: int) -> Sequences:
        entity = generator.integers(0, 9, 64)
        tokens = np.stack(
            [np.full(64, 2), 40 + generator.integers(0, 30, 64), 90 + entity % 3, np.full(64, 3)], 1
        )
        zeros = np.zeros_like(tokens)
        units = zeros + np.array([-1, 0, 1, -1])
        links = np.full_like(tokens, -1)
        links[:, 1] = entity
        return Sequences(tokens, zeros, zeros + 1, units < 0, {"entity": units, "word": units}, links, units)

    objective = injected(graph, name, causal=family == "gpt2")
    model = build(Base(family=family, layers=3, hidden=64, heads=2), VOCABULARY, seed=0)
    optimiser = torch.optim.Adam(model.parameters(), 1e-3)
    for number in range(400):
        batch = objective.corrupt(batch_of(number), np.random.default_rng(number), 0.0)
        loss = objective.loss(model, batch)[objective.terms[0]]
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    batch = objective.corrupt(batch_of(0), np.random.default_rng(0), 0.0)
    assert batch.labels is not None
    assert batch.selected is not None
    kind = (batch.labels >= 90) & (batch.labels < 93)
    assert kind.sum() > 5
    with torch.no_grad():
        hidden = model(batch).flatten(0, 1)[batch.selected[kind]]
        guessed = model.vocabulary(hidden).argmax(-1)
    assert (guessed == batch.labels[kind]).float().mean() > 0.9
