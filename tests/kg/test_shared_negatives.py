"""Shared negatives: the loss by hand, and scores against PyKEEN's."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from pykeen.losses import CrossEntropyLoss, NSSALoss
from pykeen.models import ERModel, RotatE, SimplE
from pykeen.nn.modules import TransEInteraction
from pykeen.triples import CoreTriplesFactory

from kg.shared_negatives import DrawnEntities, MatrixTransE, SharedNegativesLoop

TRIPLES = torch.tensor([[0, 0, 1], [1, 1, 2], [3, 0, 4], [4, 1, 0]])


@pytest.fixture
def factory() -> CoreTriplesFactory:
    return CoreTriplesFactory(TRIPLES, num_entities=40, num_relations=2)


def build(factory: CoreTriplesFactory, loss: Any) -> tuple[ERModel[Any, Any, Any], SharedNegativesLoop]:
    table = {"shape": 6}
    model = ERModel(
        triples_factory=factory,
        interaction=MatrixTransE,
        interaction_kwargs={"p": 2},
        entity_representations_kwargs=table,
        relation_representations_kwargs=table,
        loss=loss,
        random_seed=0,
    )
    optimizer = torch.optim.Adam(model.parameters())
    return model, SharedNegativesLoop(
        model=model, triples_factory=factory, optimizer=optimizer, negative_sampler=DrawnEntities
    )


@pytest.mark.parametrize("norm", [1, 2])
def test_distance_matrices_agree_with_transe(norm: int) -> None:
    torch.manual_seed(0)
    h, r, drawn = torch.randn(5, 1, 6), torch.randn(5, 1, 6), torch.randn(1, 30, 6)
    theirs, ours = TransEInteraction(p=norm), MatrixTransE(p=norm)
    torch.testing.assert_close(ours(h, r, drawn), theirs(h, r, drawn))
    torch.testing.assert_close(ours(drawn, r, h), theirs(drawn, r, h))
    one = h[:, 0], r[:, 0], drawn[0, :5]
    torch.testing.assert_close(ours(*one), theirs(*one))


def test_the_loss_by_hand(factory: CoreTriplesFactory) -> None:
    """Cross-entropy of each end of each triple among the drawn entities, without itself."""
    model, loop = build(factory, CrossEntropyLoss())
    drawn = torch.tensor([1, 7, 8])
    loss = loop._process_batch({"positives": TRIPLES, "negatives": drawn}, 0, 4)
    entities = model.entity_representations[0](indices=None)
    relations = model.relation_representations[0](indices=None)
    parts = []
    for head, relation, tail in TRIPLES.tolist():
        for answer, point, sign in (
            (tail, entities[head] + relations[relation], 1),
            (head, entities[tail], -1),
        ):
            if sign < 0:
                point = point - relations[relation]
            others = [row for row in drawn.tolist() if row != answer]
            scores = torch.stack([-(point - entities[row]).norm() for row in [answer, *others]])
            parts.append(-scores.log_softmax(0)[0])
    torch.testing.assert_close(loss.squeeze(), torch.stack(parts).mean())


def test_a_drawn_positive_gives_finite_gradients(factory: CoreTriplesFactory) -> None:
    for loss in (CrossEntropyLoss(), NSSALoss(margin=9, adversarial_temperature=1.0)):
        model, loop = build(factory, loss)
        total = loop._process_batch({"positives": TRIPLES, "negatives": torch.arange(40)}, 0, 4)
        total.backward()  # type: ignore[no-untyped-call]
        assert all(
            bool(weights.grad.isfinite().all()) for weights in model.parameters() if weights.grad is not None
        )


def test_negatives_are_drawn_uniformly_for_the_batch(factory: CoreTriplesFactory) -> None:
    torch.manual_seed(0)
    sampler = DrawnEntities(mapped_triples=TRIPLES, num_entities=40, num_relations=2, num_negs_per_pos=40_000)
    counts = sampler.corrupt_batch(TRIPLES).bincount(minlength=40)
    assert len(counts) == 40
    assert (counts - 1000).abs().max() < 5 * 1000**0.5


@pytest.mark.parametrize("make", [RotatE, SimplE])
def test_any_pykeen_model_supports_shared_negatives(factory: CoreTriplesFactory, make: Any) -> None:
    """The loss from PyKEEN's own scores of one triple at a time; SimplE has two tables of entities."""
    model = make(triples_factory=factory, embedding_dim=4, random_seed=0, loss=CrossEntropyLoss())
    model.reset_parameters_()
    loop = SharedNegativesLoop(
        model=model, triples_factory=factory, optimizer=torch.optim.Adam(model.parameters())
    )
    drawn = torch.tensor([5, 6, 7])
    loss = (
        loop._process_batch({"positives": TRIPLES, "negatives": drawn}, 0, 4)
        - model.collect_regularization_term()
    )
    true = model.score_hrt(TRIPLES)
    parts = []
    for column in (0, 2):
        wrong = TRIPLES[:, None].repeat(1, 3, 1)
        wrong[:, :, column] = drawn
        scores = torch.cat([true, model.score_hrt(wrong.reshape(-1, 3)).reshape(4, 3)], dim=1)
        parts.append(-scores.log_softmax(1)[:, 0].mean())
    torch.testing.assert_close(loss.squeeze(), torch.stack(parts).mean())
