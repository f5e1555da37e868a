"""Objectives on rows with triples: masked tokens do not depend on the graph, and the model learns from it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from kepipe.data.batch import TokenRows
from kepipe.knowledge.ernie_baidu import ErnieBaidu, MaskedUnits
from kepipe.knowledge.kbert.injector import Injector
from kepipe.knowledge.kbert.method import InjectedTriples
from kepipe.knowledge.kbert.settings import KBert
from kepipe.models.base import Base, build
from kepipe.objectives import table
from kepipe.objectives.base import Objective
from kg.schema import Entity, Relation, Triple
from kg.store import Graph
from kg.writer import write_graph
from tests.support.rows import MASK, TOKENIZER, VOCABULARY, rows

IDS = [f"e{n}" for n in range(9)]
OBJECTIVES = ["mlm", "ernie-baidu", "span-masking", "unilm", "causal-lm", "prefix-lm"]


class Words:
    """A tokenizer of names that are numbers."""

    pad = 0

    def encode(self, texts: list[str]) -> Any:
        from kepipe.tokenization.tokenizer import Encoded

        ids = [[int(piece) for piece in text.split()] for text in texts]
        flat = np.array([piece for row in ids for piece in row], np.int64)
        starts = np.concatenate([np.arange(len(row)) + 1 for row in ids])
        lengths = np.array([len(row) for row in ids])
        return Encoded(flat, starts, starts + 1, np.ones(len(flat), np.bool_), lengths)


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> Graph:
    """Every entity is of one of three kinds, whose names are tokens 90, 91, 92; the relation's name is 80."""
    kinds = [Entity(f"kind {n}", str(90 + n)) for n in range(3)]
    entities = [Entity(f"e{n}", f"{25 + n}") for n in range(12)]
    facts = [Triple(f"e{n}", "r", f"kind {n % 3}") for n in range(12)]
    folder: Path = tmp_path_factory.mktemp("kinds")
    return write_graph(folder, [*entities, *kinds], [Relation("r", "80")], {"train": facts})


def plain_objective(name: str) -> Objective:
    if name == "ernie-baidu":
        return MaskedUnits(ErnieBaidu()).objective(table.build(table.read("mlm"), TOKENIZER))
    return table.build(table.read(name), TOKENIZER)


def injected(graph: Graph, name: str, causal: bool = False, **settings: Any) -> Objective:
    injector = Injector(graph, Words(), KBert(**settings), causal=causal)  # type: ignore[arg-type]
    return InjectedTriples(injector, Path()).objective(plain_objective(name))


def linked(**changes: Any) -> TokenRows:
    clean = rows(**changes, entity_ids=IDS)
    unit = clean.units["entity"]
    return replace(clean, entities=np.where((unit >= 0) & (unit % 2 == 0), unit, -1))


@pytest.mark.parametrize("name", OBJECTIVES)
@pytest.mark.parametrize("pairs", [False, True])
def test_masked_tokens_are_equal_with_and_without_a_graph(graph: Graph, name: str, pairs: bool) -> None:
    objective, without, rows = injected(graph, name), plain_objective(name), linked(pairs=pairs)
    plain = without.collate(rows, np.random.default_rng(3), 0.9)
    batch = objective.collate(rows, np.random.default_rng(3), 0.9)
    assert plain.labels is not None
    assert batch.labels is not None
    assert batch.branch is not None
    assert batch.positions is not None
    assert plain.label_positions is not None
    assert batch.label_positions is not None
    assert batch.labels.tolist() == plain.labels.tolist()
    assert objective.criterion.counts(batch) == without.criterion.counts(plain)
    for field in ("tokens", "documents", "segments", "prefix"):
        one, other = getattr(batch, field), getattr(plain, field)
        assert (one is None) == (other is None)
        if one is not None:
            assert (
                one.flatten()[batch.label_positions].tolist()
                == other.flatten()[plain.label_positions].tolist()
            ), field
    trunk = (batch.branch == 0) & (batch.documents > 0)
    assert batch.tokens[trunk].tolist() == plain.tokens[plain.documents > 0].tolist()
    assert set(batch.tokens[batch.branch > 0].tolist()) == {80, 90, 91, 92}
    at = batch.label_positions % batch.tokens.shape[1]
    width = plain.tokens.shape[1]
    assert (
        batch.positions.flatten()[batch.label_positions].tolist() == (plain.label_positions % width).tolist()
    )
    assert (at >= plain.label_positions % width).all()
    assert batch.visibility == plain.visibility


def test_upstream_truncation_drops_labels(graph: Graph) -> None:
    objective = injected(graph, "mlm", length=20, upstream=True)
    batch = objective.collate(linked(), np.random.default_rng(0), 0.0)
    plain = plain_objective("mlm").collate(linked(), np.random.default_rng(0), 0.0)
    assert batch.labels is not None
    assert plain.labels is not None
    assert batch.label_positions is not None
    assert batch.tokens.shape[1] == 20
    assert 0 < len(batch.labels) < len(plain.labels)
    masked = batch.tokens.flatten()[batch.label_positions] == MASK
    assert 0.6 < masked.float().mean() <= 1.0


def test_rows_without_mentions_have_the_plain_loss(graph: Graph) -> None:
    """Without mentions the batch is the plain one, and so is the loss."""
    objective, clean = injected(graph, "mlm"), rows()
    model = build(Base(layers=1, hidden=32, heads=2), VOCABULARY, seed=0).eval()
    batch = objective.collate(clean, np.random.default_rng(0), 0.0)
    plain = plain_objective("mlm").collate(clean, np.random.default_rng(0), 0.0)
    with torch.no_grad():
        assert objective.criterion(model, batch)["mlm"] == pytest.approx(
            float(objective.criterion(model, plain)["mlm"])
        )


def towns(generator: np.random.Generator, inside: bool) -> TokenRows:
    """Rows of a name, which says nothing, and its entity's kind: the mention's last word, or the word behind it."""
    entity = generator.integers(0, 9, 64)
    tokens = np.stack(
        [np.full(64, 2), 40 + generator.integers(0, 30, 64), 90 + entity % 3, np.full(64, 3)], 1
    )
    zeros = np.zeros_like(tokens)
    words, names = np.array([-1, 0, 1, -1]), np.array([-1, 0, 0 if inside else 1, -1])
    links = np.where(names == 0, entity[:, None], -1)
    units = {"entity": zeros + names, "word": zeros + words}
    return TokenRows(tokens, zeros, zeros + 1, units["word"] < 0, units, links, units["word"], entity_ids=IDS)


@pytest.mark.parametrize(("family", "name"), [("bert", "mlm"), ("gpt2", "causal-lm")])
def test_injected_triples_are_used_for_prediction(graph: Graph, family: Any, name: str) -> None:
    """A token is its entity's kind, which only the graph has: new entities each time.

    It is predicted where the branch is visible: BERT's own token of the mention, GPT's next one after it. Chance is
    1/3; a model that reads branches is nearly always correct.
    """
    generator, causal = np.random.default_rng(0), family == "gpt2"
    objective = injected(graph, name, causal=causal)
    model = build(Base(family=family, layers=2, hidden=32, heads=2), VOCABULARY, seed=0)
    optimiser = torch.optim.Adam(model.parameters(), 5e-3)
    for number in range(80):
        batch = objective.collate(towns(generator, not causal), np.random.default_rng(number), 0.0)
        loss = objective.criterion(model, batch)[objective.criterion.terms[0]]
        optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    batch = objective.collate(towns(generator, not causal), np.random.default_rng(0), 0.0)
    assert batch.labels is not None
    assert batch.label_positions is not None
    kind = (batch.labels >= 90) & (batch.labels < 93)
    assert kind.sum() > 20
    with torch.no_grad():
        hidden = model(batch).flatten(0, 1)[batch.label_positions[kind]]
        guessed = model.vocabulary(hidden).argmax(-1)
    assert (guessed == batch.labels[kind]).float().mean() > 0.9
