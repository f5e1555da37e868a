"""Checkpoints with the names of K-BERT's release, against a small reimplementation of its model."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from kepipe.data.batch import Batch
from kepipe.models.folder import load as load_own
from kepipe.models.folder import save as save_own
from kepipe.models.hf import uer
from kepipe.models.pretrained import from_pretrained

V, D, F, H, L, T = 50, 16, 32, 4, 2, 24
CONFIG = {
    "emb_size": D,
    "hidden_size": D,
    "feedforward_size": F,
    "heads_num": H,
    "layers_num": L,
    "dropout": 0.1,
}


def shapes() -> dict[str, tuple[int, ...]]:
    made: dict[str, tuple[int, ...]] = {
        "embedding.word_embedding.weight": (V, D),
        "embedding.position_embedding.weight": (T, D),
        "embedding.segment_embedding.weight": (3, D),
    }
    linear = {"target.mlm_linear_1": (D, D), "target.mlm_linear_2": (V, D), "target.nsp_linear_1": (D, D)}
    linear["target.nsp_linear_2"] = (2, D)
    norms = ["embedding.layer_norm", "target.layer_norm"]
    for i in range(L):
        at = f"encoder.transformer.{i}."
        linear |= {f"{at}self_attn.linear_layers.{k}": (D, D) for k in range(3)}
        linear |= {f"{at}self_attn.final_linear": (D, D)}
        linear |= {f"{at}feed_forward.linear_1": (F, D), f"{at}feed_forward.linear_2": (D, F)}
        norms += [f"{at}layer_norm_1", f"{at}layer_norm_2"]
    for name, shape in linear.items():
        made |= {f"{name}.weight": shape, f"{name}.bias": shape[:1]}
    for name in norms:
        made |= {f"{name}.gamma": (D,), f"{name}.beta": (D,)}
    return made


@pytest.fixture
def weights() -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {name: torch.randn(shape, generator=generator) * 0.3 for name, shape in shapes().items()}


def write(folder: Path, weights: dict[str, Tensor], **changes: Any) -> Path:
    (folder / "config.json").write_text(json.dumps(CONFIG | changes))
    save_file(weights, folder / "model.safetensors")
    return folder


def theirs(
    w: dict[str, Tensor], tokens: Tensor, segments: Tensor, positions: Tensor, visible: Tensor
) -> Tensor:
    """Hidden states as the release computes them: additive −10000, unbiased deviation, ε outside of the root."""

    def norm(x: Tensor, name: str) -> Tensor:
        mean, deviation = x.mean(-1, keepdim=True), x.std(-1, keepdim=True)
        return w[f"{name}.gamma"] * (x - mean) / (deviation + 1e-6) + w[f"{name}.beta"]

    def linear(x: Tensor, name: str) -> Tensor:
        return x @ w[f"{name}.weight"].T + w[f"{name}.bias"]

    x = w["embedding.word_embedding.weight"][tokens] + w["embedding.position_embedding.weight"][positions]
    x = norm(x + w["embedding.segment_embedding.weight"][segments], "embedding.layer_norm")
    bias = (1.0 - visible.float())[:, None] * -10000.0
    for i in range(L):
        at = f"encoder.transformer.{i}."
        q, k, v = (
            linear(x, f"{at}self_attn.linear_layers.{part}").view(*x.shape[:2], H, -1).transpose(1, 2)
            for part in range(3)
        )
        shares = (q @ k.transpose(-1, -2) / math.sqrt(D / H) + bias).softmax(-1)
        attended = linear((shares @ v).transpose(1, 2).flatten(2), f"{at}self_attn.final_linear")
        x = norm(x + attended, f"{at}layer_norm_1")
        grown = linear(x, f"{at}feed_forward.linear_1")
        grown = grown * 0.5 * (1 + torch.erf(grown / math.sqrt(2)))
        x = norm(linear(grown, f"{at}feed_forward.linear_2") + x, f"{at}layer_norm_2")
    return x


def example() -> tuple[Batch, Tensor]:
    """A row with two branches on a mention of two tokens, and a padded one; the visible matrix, written out."""
    generator = torch.Generator().manual_seed(1)
    tokens = torch.randint(0, V, (2, 9), generator=generator)
    documents = torch.tensor([[1] * 9, [1] * 6 + [0] * 3])
    branch = torch.tensor([[0, 0, 0, 1, 1, 2, 0, 0, 0], [0] * 9])
    mention = torch.tensor([[0, 1, 1, 1, 1, 1, 0, 0, 0], [0] * 9])
    positions = torch.tensor([[0, 1, 2, 3, 4, 3, 3, 4, 5], [0, 1, 2, 3, 4, 5, 0, 0, 0]])
    visible = torch.zeros(2, 9, 9)
    trunk = [0, 1, 2, 6, 7, 8]
    for place in trunk:
        visible[0, place, trunk] = 1
    for group in ([1, 2, 3, 4], [1, 2, 5]):
        for place in group:
            visible[0, place, group] = 1
    visible[1, :, :6] = 1
    segments = torch.tensor([[0] * 6 + [1] * 3, [0] * 9])
    batch = Batch(tokens, documents, segments, positions, branch=branch, mention=mention)
    return batch, visible


def test_uer_checkpoint_equals_the_release(weights: dict[str, Tensor], tmp_path: Path) -> None:
    ported = uer.load(write(tmp_path, weights, upstream=True))
    assert ported.missing == ()
    assert ported.unused == ()
    batch, visible = example()
    assert batch.segments is not None
    assert batch.positions is not None
    with torch.no_grad():
        ours = ported.model.eval()(batch)
        expected = theirs(weights, batch.tokens, batch.segments + 1, batch.positions, visible)
        torch.testing.assert_close(ours[0], expected[0], atol=2e-5, rtol=2e-5)
        torch.testing.assert_close(ours[1, :6], expected[1, :6], atol=2e-5, rtol=2e-5)
        pooled = torch.tanh(
            expected[:, 0] @ weights["target.nsp_linear_1.weight"].T + weights["target.nsp_linear_1.bias"]
        )
        torch.testing.assert_close(ported.model.pool(ours), pooled, atol=2e-5, rtol=2e-5)


def test_uer_checkpoint_without_upstream_uses_layer_norm(weights: dict[str, Tensor], tmp_path: Path) -> None:
    model = uer.load(write(tmp_path, weights)).model.eval()
    assert model.config.norm == "layer"
    batch, visible = example()
    assert batch.segments is not None
    assert batch.positions is not None
    expected = theirs(weights, batch.tokens, batch.segments + 1, batch.positions, visible)
    with torch.no_grad():
        assert not torch.allclose(model(batch)[0], expected[0], atol=1e-3)


def test_uer_classifier_loads_and_round_trips(weights: dict[str, Tensor], tmp_path: Path) -> None:
    """Fine-tuned K-BERT: no pretraining heads, but layers of a classifier."""
    tuned = {name: value for name, value in weights.items() if not name.startswith("target.")}
    tuned["output_layer_1.weight"] = torch.zeros(D, D)
    notes: list[str] = []
    model = from_pretrained(str(write(tmp_path, tuned, upstream=True)), note=notes.append)
    assert "head" in notes[0]
    assert "output_layer_1" in notes[1]
    assert model.pooler is None
    save_own(tmp_path / "own", model)
    again = load_own(tmp_path / "own")
    batch, _ = example()
    with torch.no_grad():
        assert torch.equal(model.eval()(batch), again(batch))


def test_invalid_uer_checkpoint_is_rejected(weights: dict[str, Tensor], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"head.transform.dense.weight is \(16, 16\)|is \("):
        uer.load(write(tmp_path, weights, feedforward_size=F + 1))
    del weights["embedding.segment_embedding.weight"]
    with pytest.raises(ValueError, match="not a checkpoint of K-BERT's release"):
        uer.load(write(tmp_path, weights))
