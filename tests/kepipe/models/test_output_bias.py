"""The output bias of a new model gives token frequencies, so that training starts beyond them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from kepipe.data.batch import Batch
from kepipe.models.base import Base, build
from kepipe.models.output_bias import TIED_SCALE
from kepipe.models.pretrained import from_pretrained


def test_new_model_predicts_token_frequencies() -> None:
    counts = np.array([0, 3, 6, 0, 1], np.int64)
    model = build(Base(layers=1, hidden=8, heads=2), 5, seed=0, counts=counts)
    with torch.no_grad():
        expected = model.vocabulary(torch.zeros(1, 8)).softmax(-1)
    hidden = model.head.transform(torch.zeros(1, 8))
    assert torch.equal(hidden, torch.zeros(1, 8)), "so that only the bias counts"
    torch.testing.assert_close(expected, torch.tensor([[1, 4, 7, 1, 2]]) / 15)


def test_model_without_an_output_bias_is_unchanged() -> None:
    base = Base.model_validate({"family": "gpt2", "layers": 1, "hidden": 8, "heads": 2})
    without_fusion, told = build(base, 5, 0), build(base, 5, 0, counts=np.arange(5))
    assert all(torch.equal(a, b) for a, b in zip(without_fusion.parameters(), told.parameters(), strict=True))


def batch_of(rows: Tensor, family: str) -> Batch:
    there = torch.ones_like(rows)
    if family == "bart":
        return Batch(tokens=rows, documents=there, decoder_tokens=rows, decoder_documents=there)
    return Batch(tokens=rows, documents=there)


@pytest.mark.parametrize("family", ["bert", "bart"])
def test_hidden_states_do_not_align_with_frequent_tokens(family: str) -> None:
    """Each token is predicted from itself, with frequencies by Zipf's law: after 40 updates hidden states
    agree far less with the prior than without (measured: 0.13 and 0.30, 0.06 and 0.33)."""
    shares = 1 / np.arange(1, 501)
    shares /= shares.sum()

    def agreement(counts: npt.NDArray[np.int64] | None) -> float:
        rng = np.random.default_rng(0)
        base = Base.model_validate({"family": family, "layers": 4, "hidden": 64, "heads": 4})
        model = build(base, 500, seed=0, special={"pad": 0, "sep": 1}, counts=counts)
        optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3)
        for _ in range(40):
            rows = torch.from_numpy(rng.choice(500, (16, 32), p=shares))
            hidden = model(batch_of(rows, family)).flatten(0, 1)
            optimizer.zero_grad()
            F.cross_entropy(model.vocabulary(hidden), rows.flatten()).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        return float(F.normalize(hidden.detach(), dim=-1).mean(0).norm())

    assert agreement((1e6 * shares).astype(np.int64)) < 0.6 * agreement(None)


def test_trained_encoder_gets_a_head_tied_to_embeddings_with_frequencies(
    tmp_path: Path,
) -> None:
    """log p = scale · norm(h) · E + ln(frequency): no weight of the head is drawn at random."""
    from transformers import BertConfig, BertModel

    sizes = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16}
    BertModel(BertConfig(vocab_size=30, **sizes)).save_pretrained(tmp_path)
    counts = np.arange(30)
    notes: list[str] = []
    model = from_pretrained(str(tmp_path), note=notes.append, counts=counts).eval()
    assert "lacks a vocabulary head: tied to the token embeddings" in notes[0]
    hidden = torch.randn(5, 16, generator=torch.Generator().manual_seed(0)) * 0.5
    with torch.no_grad():
        logits = model.vocabulary(hidden)
        expected = TIED_SCALE * F.layer_norm(hidden, (16,)) @ model.tokens.weight.T
    expected += torch.from_numpy(np.log((counts + 1.0) / (counts + 1.0).sum())).float()
    torch.testing.assert_close(logits, expected, atol=1e-3, rtol=1e-3)

    drawn = from_pretrained(str(tmp_path), note=notes.append)
    assert "initialised randomly" in notes[-1]
    assert not torch.equal(drawn.head.bias, model.head.bias)
