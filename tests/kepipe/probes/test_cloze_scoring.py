"""Scores of candidates against a plain loop: one candidate, one case, one forward pass at a time."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from kepipe.data.batch import Batch
from kepipe.knowledge.ernie_tsinghua.vectors import attach
from kepipe.models.folder import load
from kepipe.models.mask_filler import MaskFiller
from kepipe.probes.cloze_scoring import _batches, blank, passes, score_candidates
from kepipe.probes.cloze_test import ClozeMaker
from kepipe.probes.held_out import Links
from kg.store import open_graph


@pytest.fixture
def test(world):
    held_out = {document.id for document in world.held_out}
    maker = ClozeMaker(open_graph(world.graph.folder), world.tokenizer, max_cases=12, context_tokens=48)
    return maker.make(Links.count((d, d.id in held_out) for d in world.documents), np.random.default_rng(0))


def slow_score(model, tokenizer, case, name, vectors=None):
    """Mean log-probability of `name` in the blank of `case`, without batches or padding."""
    row = [tokenizer.cls, *case.left, *[tokenizer.mask] * len(name), *case.right, tokenizer.sep]
    tokens = torch.tensor([row])
    batch = Batch(tokens=tokens, documents=torch.ones_like(tokens), segments=torch.zeros_like(tokens))
    if vectors is not None:
        left, right = ([-1] * len(side) for side in (case.left, case.right))
        for link in case.links:
            side, at = (left, link.place) if link.place < len(left) else (right, link.place - len(left))
            side[at] = vectors.rows([link.entity])[0]
        batch = attach(batch, np.array([[-1, *left, *[-1] * len(name), *right, -1]]), vectors)
    with torch.inference_mode():
        hidden = model(batch)
        logp = model.vocabulary(hidden)[0].log_softmax(-1)
    at = 1 + len(case.left)
    return float(np.mean([logp[at + k, token] for k, token in enumerate(name)]))


def test_cloze_scores_equal_a_plain_loop(world, test, monkeypatch):
    monkeypatch.setattr("kepipe.models.mask_filler.native_bfloat16", lambda device: False)
    model = load(world.arms[0].folder)
    filler = MaskFiller(model, world.tokenizer)
    scores = score_candidates(filler, world.tokenizer, test, tokens_per_batch=200)
    assert {len(name) for table in test.candidates.values() for name in table.names} >= {1, 2}
    for case, found in zip(test.cases, scores, strict=True):
        expected = [
            slow_score(model, world.tokenizer, case, name) for name in test.candidates[case.type].names
        ]
        assert found == pytest.approx(expected, rel=1e-4, abs=1e-4)


def test_bfloat16_layers_order_candidates_nearly_alike(world, test, monkeypatch):
    model = MaskFiller(load(world.arms[0].folder), world.tokenizer)
    monkeypatch.setattr("kepipe.models.mask_filler.native_bfloat16", lambda device: False)
    exact = score_candidates(model, world.tokenizer, test)
    monkeypatch.setattr("kepipe.models.mask_filler.native_bfloat16", lambda device: True)
    rough = score_candidates(model, world.tokenizer, test)
    assert np.concatenate(rough) == pytest.approx(np.concatenate(exact), abs=0.05)
    assert all(len(np.unique(row)) == len(row) for row in rough)  # no ties by rounding


@pytest.mark.parametrize("tokens", [60, 200, 10_000])
def test_cloze_batches_are_filled_up_to_the_token_limit(world, test, tokens):
    """Rows are padded to the longest; one that is longer than a whole batch goes alone."""
    shapes: list[tuple[int, int]] = []

    class Watched(MaskFiller):
        def masked_logits(self, batch):
            shapes.append(tuple(batch.tokens.shape))
            return super().masked_logits(batch)

    score_candidates(
        Watched(load(world.arms[0].folder), world.tokenizer), world.tokenizer, test, tokens_per_batch=tokens
    )
    assert all(rows == 1 or rows * length <= tokens for rows, length in shapes)
    assert sum(rows for rows, _ in shapes) == passes(test)
    if tokens == 10_000:  # all cases of a type and of a length of names at once
        assert len(shapes) == sum(len({*map(len, table.names)}) for table in test.candidates.values())


def test_progress_ticks_add_up_to_the_passes(world, test):
    ticks: list[int] = []
    model = MaskFiller(load(world.arms[0].folder), world.tokenizer)
    score_candidates(model, world.tokenizer, test, tick=ticks.append)
    assert sum(ticks) == passes(test)


def test_blank_has_one_mask_per_token_between_both_sides(world, test):
    cases, tokenizer = test.cases[:3], world.tokenizer
    batch = blank(cases, 2, tokenizer)
    for row, case in zip(batch.tokens.tolist(), cases, strict=True):
        expected = [tokenizer.cls, *case.left, tokenizer.mask, tokenizer.mask, *case.right, tokenizer.sep]
        assert row[: len(expected)] == expected
        assert set(row[len(expected) :]) <= {tokenizer.pad}
    assert batch.tokens.flatten()[batch.label_positions].tolist() == [tokenizer.mask] * 6


def test_fused_model_gets_the_other_entities_of_the_window(world, test, vectors, fused, opened, monkeypatch):
    monkeypatch.setattr("kepipe.models.mask_filler.native_bfloat16", lambda device: False)
    filler, knowledge = opened.masked_language_model, opened.knowledge
    scores = score_candidates(filler, world.tokenizer, test, knowledge=knowledge, tokens_per_batch=200)
    plain = score_candidates(filler, world.tokenizer, test)
    assert any(case.links for case in test.cases)
    for case, found, without in zip(test.cases, scores, plain, strict=True):
        names = test.candidates[case.type].names
        expected = [slow_score(fused, world.tokenizer, case, name, vectors) for name in names]
        assert found == pytest.approx(expected, rel=1e-4, abs=1e-4)
        known = [link for link in case.links if vectors.rows([link.entity])[0] >= 0]
        assert bool(known) == (np.abs(found - without).max() > 1e-3)
        assert known == [link for link in case.links if knowledge.knows(link.entity)]


def test_cases_of_a_batch_fill_it_to_the_last_token():
    """A row counts as the tokens beside its blank and eight more: 18 here."""
    cases = [SimpleNamespace(left=[7] * 4, right=[7] * 6)] * 5
    for tokens, sizes in ((36, [2, 2, 1]), (35, [1] * 5), (90, [5])):
        batches = list(_batches(cases, range(5), tokens))
        assert [len(batch) for batch in batches] == sizes
        assert np.concatenate(batches).tolist() == [*range(5)]
