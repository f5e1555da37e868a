"""The encoder by hand, its baseline, the split; and that training finds what translation alone cannot."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kg.inductive import (
    Encoder,
    InductiveTraining,
    _draw_batch,
    _loss,
    average_neighbours,
    edges_into,
    embed_new,
    hold_out_entities,
    train_encoder,
)
from kg.neighbourhood import Neighbourhood, _pool_by_torch, pool
from kg.vectors import save_vectors

pytest.importorskip("dgl")
VECTORS = np.array([[1, 0], [0, 2], [9, 9], [9, 9]], np.float32)
RELATIONS = np.array([[10, 0], [0, 100]], np.float32)
FACTS = np.array([[0, 0, 2], [2, 1, 1], [2, 0, 3]], np.int32)


def test_untrained_encoder_is_the_mean_of_translated_neighbours() -> None:
    # 2 is reached from 0 along relation 0 (0 + r₀), and back from 1 along relation 1 (1 − r₁); 3 is new as well.
    encoder = Encoder.start(RELATIONS, bases=2, seed=0)
    found = embed_new(encoder, FACTS, np.array([3, 2]), VECTORS)
    np.testing.assert_allclose(found, [[0, 0], [(11 + 0) / 2, (0 + 2 - 100) / 2]])


def test_the_baseline_is_the_plain_mean() -> None:
    found = average_neighbours(FACTS, np.array([2, 3]), VECTORS, 2)
    np.testing.assert_allclose(found, [[0.5, 1], [0, 0]])
    one = average_neighbours(FACTS[:1], np.array([2]), VECTORS, 2)
    np.testing.assert_allclose(one, [[1, 0]], err_msg="the vector of an only neighbour")
    assert edges_into(FACTS, np.array([2, 3]), 2).tolist() == [[0, 0, 2], [1, 3, 2]]


def test_the_basis_decomposition() -> None:
    import torch

    encoder = Encoder.start(RELATIONS, bases=2, seed=0)
    encoder.shares[0] = torch.tensor([2.0, -1.0])
    found = embed_new(encoder, FACTS[:1], np.array([2]), VECTORS)
    message = np.array([11.0, 0.0])
    weights = np.eye(2) + 2 * encoder.bases[0].numpy() - encoder.bases[1].numpy()
    np.testing.assert_allclose(found[0], message @ weights, rtol=1e-5)


def test_pooling_on_other_devices_equals_dgl() -> None:
    """Values and gradients; a target without messages is zero."""
    import torch

    generator = torch.Generator().manual_seed(0)
    messages, logits = torch.randn(40, 3, generator=generator), 5 * torch.randn(40, generator=generator)
    targets = torch.randint(0, 6, (40,), generator=generator) + 1
    results = []
    for way in (pool, _pool_by_torch):
        inputs = [each.clone().requires_grad_() for each in (messages, logits)]
        pooled = way(*inputs, targets, 8)
        pooled.square().sum().backward()
        results.append((pooled, *(each.grad for each in inputs)))
    assert not results[1][0][[0, 7]].any()
    for found, expected in zip(*results, strict=True):
        torch.testing.assert_close(found, expected)


def test_the_layer_computes_on_the_device_of_its_weights() -> None:
    """ "meta" rejects tensors of other devices."""
    import torch

    encoder = Encoder.start(RELATIONS, bases=2, seed=0).to("meta")
    edges = edges_into(FACTS, np.array([2, 3]), 2)
    entities_ED = torch.from_numpy(VECTORS).to("meta")
    predicted = encoder.encode(edges, np.array([2, 3]), entities_ED)
    assert predicted.device.type == "meta"
    asked = np.array([[0, 0, 2], [1, 3, 3]])
    loss = _loss(predicted, asked, encoder.shifts, entities_ED, np.array([0, 1]), 2.0)
    assert loss.device.type == "meta"


def test_queries_are_not_among_the_context() -> None:
    """Neither the edge itself nor another to the same neighbour: it could be read off."""
    rng = np.random.default_rng(0)
    facts = np.unique(
        np.stack([rng.integers(0, 30, 300), rng.integers(0, 3, 300), rng.integers(0, 30, 300)], axis=1),
        axis=0,
    )
    around = Neighbourhood(facts[facts[:, 0] != facts[:, 2]], 30, 3)
    settings = InductiveTraining(batch=20, fanout=40)
    seen, asked, rows = _draw_batch(around, np.flatnonzero(around.degrees >= 2), settings, rng)
    assert len(rows) == 20, "each is drawn once"
    assert asked[:, 2].tolist() == rows.tolist()
    pairs = set(map(tuple, seen[:, [0, 2]].tolist()))
    assert pairs
    assert not pairs & set(map(tuple, asked[:, [0, 2]].tolist()))


def test_an_entity_shows_as_many_edges_as_it_may_besides_the_one_that_is_asked_for() -> None:
    star = np.array([[leaf, 0, 0] for leaf in range(1, 41)], np.int32)
    settings = InductiveTraining(batch=1, fanout=5)
    seen, asked, rows = _draw_batch(
        Neighbourhood(star, 41, 1), np.array([0]), settings, np.random.default_rng(0)
    )
    assert (len(seen), len(asked), rows.tolist()) == (5, 1, [0])


def test_the_loss_by_hand() -> None:
    """On a line: v = 1 is asked for u = 3 along t = 1, and 0 and 3 are drawn as wrong answers. v − t = 0 is 3 away from
    u, and as far as 0 from 0; 3 is right and left out. u + t = 4 is 3 away from v, 4 from 0 and 1 from 3."""
    import torch

    entities = torch.tensor([[0.0], [3.0], [9.0]])
    asked, others = np.array([[1, 0, 2]]), np.array([0, 1])
    loss = _loss(torch.tensor([[1.0]]), asked, torch.tensor([[1.0]]), entities, others, 2.0)
    near, zero, one, four = np.exp(-3.0), 1.0, np.exp(-1.0), np.exp(-4.0)
    assert float(loss) == pytest.approx(-np.log(near / (near + zero)) - np.log(near / (near + four + one)))


def test_the_learning_rate_falls_from_the_first_step_to_the_last(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    rates: list[float] = []
    step = torch.optim.Adam.step

    def noted(self: torch.optim.Adam, *arguments: object) -> object:
        rates.append(self.param_groups[0]["lr"])
        return step(self, *arguments)

    monkeypatch.setattr(torch.optim.Adam, "step", noted)
    around = Neighbourhood(FACTS, 4, 2)
    settings = InductiveTraining(steps=4, bases=2, negatives=3, learning_rate=0.4)
    train_encoder(around, VECTORS, RELATIONS, settings, 0)
    assert rates == pytest.approx([0.4, 0.3, 0.2, 0.1])


def test_each_step_is_made_on_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    """The device "meta" has no values: reading one would fail, except the reported loss. The copy of the
    layer at the end does."""
    import torch

    losses: list[str] = []
    monkeypatch.setattr(torch.Tensor, "__float__", lambda loss: losses.append(loss.device.type) or 0.0)
    settings = InductiveTraining(steps=3, bases=2, negatives=3)
    with pytest.raises(NotImplementedError, match="meta"):
        train_encoder(Neighbourhood(FACTS, 4, 2), VECTORS, RELATIONS, settings, 0, device="meta")
    assert losses == ["meta"] * 3


def test_wrong_answers_are_drawn_from_all_entities(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: set[int] = set()

    def noted(*given: Any) -> Any:
        drawn.update(given[4].tolist())
        return _loss(*given)

    monkeypatch.setattr("kg.inductive._loss", noted)
    around = Neighbourhood(FACTS, 4, 2)
    train_encoder(around, VECTORS, RELATIONS, InductiveTraining(steps=1, bases=2, negatives=200), 0)
    assert drawn == set(range(4))


facts = st.lists(
    st.tuples(st.integers(0, 11), st.integers(0, 2), st.integers(0, 11)), min_size=3, max_size=60
)


@given(facts, st.integers(0, 99), st.floats(0.05, 0.5))
def test_held_out_entities(drawn: list[tuple[int, int, int]], seed: int, share: float) -> None:
    triples = np.unique(np.array(drawn, np.int32), axis=0)
    split = hold_out_entities(triples, np.random.default_rng(seed), share)
    assert not np.isin(split.train[:, [0, 2]], split.rows).any()
    for part in (split.context, split.queries):
        assert (np.isin(part[:, [0, 2]], split.rows).sum(axis=1) == 1).all()
    asked = split.queries[:, [0, 2]]
    told = np.intersect1d(split.context[:, [0, 2]], split.rows)
    assert np.isin(asked[np.isin(asked, split.rows)], told).all()
    between_new = np.isin(triples[:, [0, 2]], split.rows).all(axis=1).sum()
    assert len(split.train) + len(split.context) + len(split.queries) + between_new == len(triples)


def test_hold_out_entities_takes_the_share_and_queries_half_of_their_triples() -> None:
    rng = np.random.default_rng(3)
    triples = np.unique(rng.integers(0, [40, 2, 40], (900, 3)), axis=0).astype(np.int32)
    split = hold_out_entities(triples, np.random.default_rng(0), 0.25)
    assert len(split.rows) == 10
    assert (split.rows[1:] > split.rows[:-1]).all()
    asked = len(split.queries) / (len(split.queries) + len(split.context))
    assert asked == pytest.approx(0.5, abs=0.1)
    assert len(hold_out_entities(triples, np.random.default_rng(0)).rows) == 2  # 5% by default
    few = np.array([[0, 0, 1], [1, 0, 2]], np.int32)
    assert len(hold_out_entities(few, np.random.default_rng(0), 0.05).rows) == 1


def test_training_finds_the_informative_relation_and_is_deterministic() -> None:
    """Entities lie where relation 0 puts them; along relation 1 they have random neighbours, which say nothing."""
    rng = np.random.default_rng(0)
    count, dim = 120, 8
    vectors = rng.normal(size=(count, dim)).astype(np.float32)
    relations = rng.normal(size=(2, dim)).astype(np.float32)
    parents = rng.integers(0, 20, count)
    vectors[20:] = vectors[parents[20:]] + relations[0] + 0.05 * rng.normal(size=(count - 20, dim))
    children = np.arange(20, count)
    useful = np.stack([parents[20:], np.zeros_like(children), children], axis=1)
    noise = np.stack(
        [rng.integers(0, count, 300), np.ones(300, np.int64), rng.integers(0, count, 300)], axis=1
    )
    facts = np.concatenate([useful, noise]).astype(np.int32)
    around = Neighbourhood(facts, count, 2)
    settings = InductiveTraining(steps=40, batch=64, negatives=64, bases=2, learning_rate=0.1)
    losses: list[float] = []

    def train() -> Encoder:
        return train_encoder(around, vectors, relations, settings, 1, lambda _, loss: losses.append(loss))

    def error(encoder: Encoder) -> float:
        rows = np.arange(100, count)
        return float(np.abs(embed_new(encoder, facts, rows, vectors) - vectors[rows]).mean())

    encoder, again = train(), train()
    assert encoder.logits[0] > encoder.logits[1] + 1
    assert error(encoder) < 0.7 * error(Encoder.start(relations, 2, 1))
    assert losses[:40] == losses[40:]
    for first, second in zip(encoder.parameters(), again.parameters(), strict=True):
        np.testing.assert_array_equal(first.numpy(), second.numpy())


def test_a_saved_encoder_gives_the_same_vectors(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    entities, relations = (rng.normal(size=(rows, 4)).astype(np.float32) for rows in (6, 2))
    encoder = Encoder.start(relations, 3, seed=1)
    encoder.shares.normal_()
    encoder.save(tmp_path / "encoder.safetensors")
    loaded = Encoder.load(tmp_path / "encoder.safetensors")
    triples, new = np.array([[0, 0, 5], [5, 1, 2], [3, 0, 4]], np.int32), np.array([5])
    expected = embed_new(encoder, triples, new, entities)
    assert embed_new(loaded, triples, new, entities).tolist() == expected.tolist()
    save_vectors(tmp_path, ["a"], entities[:1])
    with pytest.raises(ValueError, match="no R-GCN layer; it holds entities"):
        Encoder.load(tmp_path / "vectors.safetensors")
    for content in (b"", b"no tensors"):
        (tmp_path / "junk").write_bytes(content)
        with pytest.raises(ValueError, match="junk: no R-GCN layer"):
            Encoder.load(tmp_path / "junk")


def test_defaults_are_those_of_the_quoted_figures() -> None:
    assert InductiveTraining() == InductiveTraining(
        steps=200, batch=512, fanout=12, negatives=256, bases=8, learning_rate=0.003, stay=2.0, norm=2.0
    )
    encoder = train_encoder(
        Neighbourhood(FACTS, 4, 2), VECTORS, RELATIONS, replace(InductiveTraining(), steps=1), 0
    )
    assert encoder.bases.shape == (8, 2, 2)


def test_directions_are_drawn_for_messages_of_the_vectors_size() -> None:
    encoder = Encoder.start(np.zeros((2, 64), np.float32), bases=3, seed=0)
    assert float(encoder.bases.std()) == pytest.approx(1 / 8, rel=0.02)
    assert [tuple(each.shape) for each in encoder.parameters()] == [(4, 64), (4, 3), (3, 64, 64), (4,)]


def test_entities_of_two_triples_are_learned_from() -> None:
    ring = np.array([[0, 0, 1], [1, 0, 2], [2, 0, 3], [3, 0, 0]], np.int32)
    settings = InductiveTraining(steps=1, bases=2, negatives=3)
    losses: list[float] = []
    for stay in (0.0, 1.0, 2.0):
        encoder = train_encoder(
            Neighbourhood(ring, 4, 1), VECTORS, RELATIONS[:1], replace(settings, stay=stay), 0,
            lambda step, loss: losses.append(loss * step),
        )  # fmt: skip
        assert not any(each.requires_grad for each in encoder.parameters())
    assert losses[1] - losses[0] > 1
    assert losses[2] - losses[1] == pytest.approx(losses[1] - losses[0], rel=1e-4)
    with pytest.raises(ValueError, match="no entity has two triples"):
        train_encoder(Neighbourhood(ring[:1], 4, 1), VECTORS, RELATIONS[:1], settings, 0)


def test_each_batch_samples_other_edges(monkeypatch: pytest.MonkeyPatch) -> None:
    seeds: list[int] = []
    sample = Neighbourhood.sample

    def noted(around: Neighbourhood, entities: Any, fanout: int, seed: int) -> Any:
        seeds.append(seed)
        return sample(around, entities, fanout, seed)

    monkeypatch.setattr(Neighbourhood, "sample", noted)
    settings = InductiveTraining(steps=40, bases=2, negatives=3)
    train_encoder(Neighbourhood(FACTS, 4, 2), VECTORS, RELATIONS, settings, 0)
    assert len(set(seeds)) == 40
    assert 2**28 < max(seeds) < 2**31, "drawn from all non-negative 32-bit integers"
