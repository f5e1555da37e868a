"""The denoising entity auto-encoder: corruption rates, the loss by hand, training."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from kepipe.arrays import Ints
from kepipe.data.batch import Batch, ExampleRefs, TokenRows
from kepipe.knowledge.ernie_tsinghua.method import FusedEntities
from kepipe.knowledge.ernie_tsinghua.settings import ErnieTsinghua
from kepipe.knowledge.ernie_tsinghua.vectors import EntityVectors
from kepipe.models.assemble import fuse
from kepipe.models.base import Base, build
from kepipe.models.config import FusionConfig
from kepipe.models.transformer import Transformer
from kepipe.objectives import table
from kepipe.objectives.base import Objective
from kg.vectors import open_vectors, save_vectors
from tests.support.rows import TOKENIZER, VOCABULARY, rows

ENTITIES, E = 40, 8
IDS = [f"Q{n}" for n in range(ENTITIES)]


@pytest.fixture(scope="module")
def vectors(tmp_path_factory: pytest.TempPathFactory) -> EntityVectors:
    folder = tmp_path_factory.mktemp("vectors")
    matrix = np.random.default_rng(0).standard_normal((ENTITIES, E)).astype(np.float32)
    save_vectors(folder, IDS, matrix)
    return EntityVectors.open(folder)


def with_links(clean: TokenRows, links_BT: Ints) -> TokenRows:
    """The rows with mentions of one token each: the row of its vector, −1 for no mention."""
    units = {**clean.units, "entity": clean.units["word"]}
    return replace(clean, units=units, entities=links_BT, entity_ids=IDS)


def linked(seed: int = 0, pairs: bool = False, share: float = 0.3) -> TokenRows:
    """Rows in which a share of the tokens begins a mention."""
    clean = rows(seed=seed, pairs=pairs)
    rng = np.random.default_rng(seed)
    links = np.where(
        (rng.random(clean.tokens.shape) < share) & ~clean.special,
        rng.integers(0, ENTITIES, clean.tokens.shape),
        -1,
    )
    return with_links(clean, links)


def objective(vectors: EntityVectors, masking: str = "dynamic", **settings: Any) -> Objective:
    masked = table.build(table.read({"name": "mlm", "schedule": masking}), TOKENIZER)
    return FusedEntities(vectors, ErnieTsinghua(**settings)).objective(masked)


def model(seed: int = 0) -> Transformer:
    base = build(Base.model_validate({"layers": 2, "hidden": 32, "heads": 2}), VOCABULARY, seed)
    return fuse(base, FusionConfig(first=0, hidden=E, heads=2), seed)[0]


def shown(batch: Batch) -> Ints:
    """The vector row at each token after the corruption, −1 for none."""
    assert batch.entities is not None
    assert batch.entity_rows is not None
    rows_BT: Ints = batch.entity_rows.numpy()[batch.entities.numpy()]
    return rows_BT


@pytest.mark.parametrize("upstream", [False, True])
def test_batch_describes_candidates_truth_and_changed_links(vectors: EntityVectors, upstream: bool) -> None:
    rows = linked()
    batch = objective(vectors, upstream=upstream).collate(rows, np.random.default_rng(3), 0.0)
    assert batch.entity_rows is not None
    assert batch.entity_vectors is not None
    assert (batch.entity_vectors[0] == 0).all()
    np.testing.assert_array_equal(
        batch.entity_vectors[1:].numpy(), vectors.vectors.matrix[batch.entity_rows[1:].numpy()]
    )
    true_N = rows.entities[rows.entities >= 0]
    candidates = batch.entity_rows[batch.extra["candidates"]].numpy()
    present = np.unique(true_N)
    np.testing.assert_array_equal(candidates, np.append(-1, present) if upstream else present)
    np.testing.assert_array_equal(candidates[batch.extra["truth"].numpy()], true_N)
    np.testing.assert_array_equal(batch.extra["linked"].numpy(), np.flatnonzero(rows.entities >= 0))
    wrong = shown(batch).ravel()[batch.extra["linked"].numpy()] != true_N
    np.testing.assert_array_equal(np.flatnonzero(wrong), batch.extra["changed"].numpy())
    assert (shown(batch)[rows.entities < 0] == -1).all()


def test_token_masking_and_link_corruption_are_independent(vectors: EntityVectors) -> None:
    """The same tokens are hidden as by `mlm` with the same seed: arms with and without dEA compare."""
    rows = linked(pairs=True)
    plain = objective(vectors, denoising=False).collate(rows, np.random.default_rng(5), 0.0)
    bare = table.build(table.read("mlm"), TOKENIZER).collate(rows, np.random.default_rng(5), 0.0)
    ours = objective(vectors).collate(rows, np.random.default_rng(5), 0.0)
    for name in ("tokens", "label_positions", "labels", "next_sentence_labels", "segments"):
        assert torch.equal(getattr(plain, name), getattr(ours, name)), name
        assert torch.equal(getattr(bare, name), getattr(ours, name)), name
    np.testing.assert_array_equal(shown(plain), rows.entities)


def test_static_schedule_corrupts_links_alike_every_epoch(vectors: EntityVectors) -> None:
    static = objective(vectors, masking="static")
    batches = [
        static.collate(
            replace(linked(), refs=ExampleRefs(np.arange(8), times, 0)), np.random.default_rng(times), 0.0
        )
        for times in (0, 1)
    ]
    np.testing.assert_array_equal(shown(batches[0]), shown(batches[1]))
    assert len(batches[0].extra["changed"])


def test_dea_loss_by_hand(vectors: EntityVectors) -> None:
    """Two candidates with scores 1 and −1, and −2 and 2: −log σ(2) where the truth scores 1, −log σ(−4) where −2."""
    batch = Batch(
        tokens=torch.zeros(1, 3, dtype=torch.long),
        documents=torch.ones(1, 3, dtype=torch.long),
        label_positions=torch.tensor([], dtype=torch.long),
        labels=torch.tensor([], dtype=torch.long),
        entity_vectors=torch.tensor([[0.0], [9.0], [1.0], [-1.0]]),
        extra={
            "linked": torch.tensor([0, 2]),
            "candidates": torch.tensor([2, 3]),
            "truth": torch.tensor([0, 0]),
            "changed": torch.tensor([1]),
        },
    )

    class Fixed:
        """A model whose entity head says 1 at the first token and −2 at the third."""

        def __call__(self, _batch: Batch, places: torch.Tensor) -> torch.Tensor:
            return torch.tensor([[1.0], [50.0], [-2.0]])[places]

        def entity_vectors(self, batch: Batch) -> torch.Tensor | None:
            return batch.entity_vectors

        def entity_scores(self, hidden: torch.Tensor, vectors: torch.Tensor) -> torch.Tensor:
            return hidden @ vectors.T

        def token_loss(self, hidden: torch.Tensor, _labels: torch.Tensor) -> torch.Tensor:
            return hidden.sum()

    losses = objective(vectors, weights={"dea": 0.5}).criterion(Fixed(), batch)
    expected = 0.5 * (math.log1p(math.exp(-2)) + math.log1p(math.exp(4))) / 2
    assert float(losses["dea"]) == pytest.approx(expected, rel=1e-6)
    assert float(losses["mlm"]) == 0.0
    assert float(losses["entity_accuracy"]) == 0.5
    assert float(losses["changed_entity_accuracy"]) == 0.0
    assert objective(vectors).criterion.counts(batch) == {
        "mlm": 0, "dea": 2, "entity_accuracy": 2, "changed_entity_accuracy": 1,
    }  # fmt: skip


def test_row_label_loss_keeps_its_name_and_gets_the_nsp_weight(vectors: EntityVectors) -> None:
    """A dialogue's rows are labelled real or fake, with the weight of the next-sentence loss."""
    dialogues = table.build(table.read("dlm"), TOKENIZER)
    fused = FusedEntities(vectors, ErnieTsinghua(weights={"nsp": 0.5})).objective(dialogues)
    assert fused.criterion.terms == ("mlm", "real", "dea")
    batch = fused.collate(linked(pairs=True), np.random.default_rng(1), 0.0)
    fresh = model()
    plain = dialogues.criterion(fresh, batch)
    losses = fused.criterion(fresh, batch)
    assert set(fused.criterion.counts(batch)) >= losses.keys()
    torch.testing.assert_close(losses["real"], 0.5 * plain["real"])
    torch.testing.assert_close(losses["mlm"], plain["mlm"])


def test_dea_loss_is_zero_without_links(vectors: EntityVectors) -> None:
    denoising = objective(vectors)
    batch = denoising.collate(linked(share=0.0), np.random.default_rng(0), 0.0)
    losses = denoising.criterion(model(), batch)
    assert float(losses["dea"]) == 0.0
    assert all(torch.isfinite(loss) for loss in losses.values())
    assert denoising.criterion.counts(batch)["dea"] == 0
    torch.autograd.backward(losses["mlm"])


def test_dea_training_restores_changed_entities(vectors: EntityVectors) -> None:
    """Ten linked tokens, each always the same entity: after some steps also changed links are named right."""
    denoising = objective(vectors, replaced=0.2, removed=0.6)
    trained = model()
    optimizer = torch.optim.AdamW(trained.parameters(), lr=3e-3)
    told = {}
    for step in range(60):
        clean = rows(seed=step)
        links = np.where(~clean.special & (clean.tokens >= 60) & (clean.tokens < 70), clean.tokens - 60, -1)
        batch = denoising.collate(with_links(clean, links), np.random.default_rng(step), 0.0)
        losses = denoising.criterion(trained, batch)
        torch.autograd.backward([losses[name] for name in denoising.criterion.terms if name in losses])
        optimizer.step()
        optimizer.zero_grad()
        told = {name: float(loss.detach()) for name, loss in losses.items()}
    assert told["dea"] < 1.2
    assert told["changed_entity_accuracy"] > 0.6  # a tenth by chance


def test_link_noise_above_1_is_rejected() -> None:
    with pytest.raises(ValueError, match="add up to more than 1"):
        ErnieTsinghua(replaced=0.6, removed=0.6)


def test_denoising_needs_an_objective_with_masked_tokens(vectors: EntityVectors) -> None:
    causal = table.build(table.read("causal-lm"), TOKENIZER)
    with pytest.raises(ValueError, match="set `denoising: false`"):
        FusedEntities(vectors, ErnieTsinghua()).objective(causal)
    batch = (
        FusedEntities(vectors, ErnieTsinghua(denoising=False))
        .objective(causal)
        .collate(linked(), np.random.default_rng(0), 0.0)
    )
    np.testing.assert_array_equal(shown(batch), linked().entities)


def test_trained_vectors_get_gradients_only_where_used(vectors: EntityVectors, tmp_path: Path) -> None:
    base = build(Base.model_validate({"layers": 2, "hidden": 32, "heads": 2}), VOCABULARY, 0)
    trained, _ = fuse(base, FusionConfig(first=0, hidden=E, heads=2, rows=ENTITIES), 0)
    denoising = objective(vectors, replaced=0.0)
    rows = linked(share=0.05)
    batch = denoising.collate(rows, np.random.default_rng(0), 0.0)
    torch.autograd.backward(denoising.criterion(trained, batch)["dea"])
    assert trained.entity_table is not None
    gradient = trained.entity_table.weight.grad
    assert gradient is not None
    used = np.unique(rows.entities[rows.entities >= 0])
    assert set(np.flatnonzero(gradient.abs().sum(1).numpy())) == set(used)
    vectors.save(tmp_path, trained.entity_table.weight.detach().numpy())
    np.testing.assert_array_equal(open_vectors(tmp_path).matrix, trained.entity_table.weight.detach().numpy())
