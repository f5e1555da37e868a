"""The fusion by hand, and a whole fused encoder against the paper's equations written out token by token."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kepipe.data.batch import Batch
from kepipe.models.assemble import fuse, without_fusion
from kepipe.models.base import Base, build
from kepipe.models.config import FusionConfig, TransformerConfig
from kepipe.models.transformer import Transformer
from kepipe.nn.attention import Mask
from kepipe.nn.feedforward import FeedForward
from kepipe.nn.fusion import Fusion
from kepipe.nn.placement import EntityPlacement, place_entities
from kepipe.nn.visibility import Visibility, documents

E, V, D = 12, 50, 32


def fused(seed: int = 0, first: int = 1, layers: int = 4, **values: Any) -> Transformer:
    """A small fused encoder whose weights, biases and norms too, are all different."""
    base = build(
        Base.model_validate({"layers": layers, "hidden": D, "heads": 2, "feedforward": 48, **values}), V, 0
    )
    model, _ = fuse(base, FusionConfig(first=first, hidden=E, heads=3), seed)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(torch.randn(weight.shape, generator=generator) * 0.2)
    return model.eval()


def rows(entities: list[list[int]], lengths: list[int] | None = None, seed: int = 0) -> Batch:
    generator = torch.Generator().manual_seed(seed)
    entities_BT = torch.tensor(entities)
    at = torch.arange(entities_BT.shape[1])
    sizes = torch.tensor(lengths or [entities_BT.shape[1]] * len(entities))
    vectors = torch.randn(int(entities_BT.max()) + 1, E, generator=generator)
    vectors[0] = 0
    return Batch(
        tokens=torch.randint(5, V, entities_BT.shape, generator=generator),
        documents=(at < sizes[:, None]).long(),
        entities=entities_BT,
        entity_vectors=vectors,
    )


def identity(wide: int, narrow: int) -> nn.Linear:
    layer = nn.Linear(narrow, wide)
    with torch.no_grad():
        layer.weight.copy_(torch.eye(wide, narrow))
        layer.bias.zero_()
    return layer


def test_fusion_of_one_token_by_hand() -> None:
    """W_t = 1 0; 0 1, W_e = 1 1 (rows), b = 0, σ = relu: h, w' and e' are sums of two numbers before their norms."""
    part = FeedForward(2, 2, torch.relu)
    part.up_proj, part.down_proj = identity(2, 2), identity(2, 2)
    fusion = Fusion(part, nn.Identity(), 2, nn.Identity())
    with torch.no_grad():
        fusion.entity_up_proj.weight.copy_(torch.ones(2, 2))
        fusion.entity_down_proj.weight.copy_(torch.tensor([[1.0, 0.0], [0.0, -1.0]]))
        fusion.entity_down_proj.bias.copy_(torch.tensor([0.0, 0.5]))
    w = torch.tensor([[[1.0, -2.0], [3.0, -9.0]]])
    e = torch.tensor([[[0.0, 0.0], [2.0, 3.0]]])
    links = EntityPlacement(
        torch.tensor([[0, 1]]), torch.tensor([0, 1]), torch.tensor([[[True], [True]]]), Mask()
    )
    w, e = fusion(w, e, links)
    # [CLS]: h = relu(1, −2) = (1, 0). The second: We e = (5, 5), h = relu(3+5, −9+5) = (8, 0).
    assert w.tolist() == [[[2.0, -2.0], [11.0, -9.0]]]
    assert e.tolist() == [[[1.0, 0.5], [10.0, 3.5]]]


def test_place_entities_by_hand() -> None:
    entities = torch.tensor([[0, 3, 0, 5], [0, 0, 0, 0], [7, 0, 2, 0]])
    links = place_entities(entities, Visibility(), torch.float32)
    assert links.entities.tolist() == [[0, 3, 5], [0, 0, 0], [7, 2, 0]]
    assert links.flat.tolist() == [0, 1, 3, 4, 4, 4, 8, 10, 8]
    assert links.used[:, :, 0].tolist() == [[True] * 3, [True, False, False], [True, True, False]]
    assert links.mask.bias is not None
    assert (links.mask.bias[:, 0, 0] == 0).tolist() == links.used[:, :, 0].tolist()
    assert entities[0, 0] == 0


def test_few_shapes_of_entity_slots() -> None:
    """Slots in steps of an eighth of the length; unused ones are masked and add nothing."""
    entities = torch.zeros(2, 16, dtype=torch.long)
    entities[0, 3:5] = torch.tensor([4, 6])
    plain = place_entities(entities, Visibility(), torch.float32)
    links = place_entities(entities, Visibility(), torch.float32, entities.clone(), few_shapes=True)
    assert links.entities.tolist() == [[0, 4, 6, 0], [0] * 4]
    assert links.used[:, :, 0].tolist() == [[True, True, True, False], [True, False, False, False]]
    assert plain.entities.tolist() == [[0, 4, 6], [0] * 3]


def test_entities_of_another_document_are_masked() -> None:
    entities = torch.tensor([[0, 3, 0, 5, 6]])
    links = place_entities(entities, documents(torch.tensor([[1, 1, 2, 2, 2]])), torch.float32)
    assert links.mask.bias is not None
    seen = (links.mask.bias[0, 0] == 0).tolist()
    assert seen == [[True, True, False, False]] * 2 + [[False, False, True, True]] * 2


def norm(x: Tensor, weights: dict[str, Tensor], name: str, eps: float) -> Tensor:
    mean, variance = x.mean(), x.var(unbiased=False)
    return (x - mean) / torch.sqrt(variance + eps) * weights[f"{name}.weight"] + weights[f"{name}.bias"]


def attend(
    xs: list[Tensor], seen: list[bool], weights: dict[str, Tensor], name: str, heads: int
) -> list[Tensor]:
    """Attention with residual and norm, for every token of `xs`, over those that are `seen`."""
    qkv = [weights[f"{name}.part.qkv.weight"] @ x + weights[f"{name}.part.qkv.bias"] for x in xs]
    width = len(xs[0]) // heads
    made = []
    for x, mine in zip(xs, qkv, strict=True):
        q = mine[: len(x)]
        mixed = []
        for h in range(heads):
            part = slice(h * width, (h + 1) * width)
            keys = [other[len(x) : 2 * len(x)][part] for other, yes in zip(qkv, seen, strict=True) if yes]
            values = [other[2 * len(x) :][part] for other, yes in zip(qkv, seen, strict=True) if yes]
            scores = torch.stack([q[part] @ key / math.sqrt(width) for key in keys])
            shares = torch.exp(scores) / torch.exp(scores).sum()
            mixed.append(
                sum((s * v for s, v in zip(shares, values, strict=True)), torch.zeros_like(values[0]))
            )
        out = weights[f"{name}.part.output.weight"] @ torch.cat(mixed) + weights[f"{name}.part.output.bias"]
        made.append(norm(x + out, weights, f"{name}.norm", 1e-12))
    return made


def by_the_paper(model: Transformer, batch: Batch, row: int) -> tuple[list[Tensor], dict[int, Tensor]]:
    """Hidden states of a row's tokens and entities, in fp64, one token at a time; entities by their token."""
    weights = {name: value.detach().double() for name, value in model.named_parameters()}
    assert model.encoder is not None
    assert batch.entities is not None
    assert batch.entity_vectors is not None
    real = int((batch.documents[row] > 0).sum())
    embedded = model.encoder.embeddings(model.tokens(batch.tokens))[row, :real].detach().double()
    xs = list(embedded)
    links = batch.entities[row, :real].tolist()
    places = sorted({0, *(t for t, e in enumerate(links) if e)})
    es = {t: batch.entity_vectors[links[t]].double() for t in places}
    config, fusion = model.config, model.config.fusion
    assert fusion is not None
    for i in range(config.encoder_layers):
        name = f"encoder.layers.{i}"
        xs = attend(xs, [True] * real, weights, f"{name}.attention", config.heads)
        if i > fusion.first:
            met = attend(
                [es[t] for t in places],
                [True] * len(places),
                weights,
                f"{name}.entity_attention",
                fusion.heads,
            )
            es = dict(zip(places, met, strict=True))
        mlp = f"{name}.mlp"
        for t in range(real):
            h = weights[f"{mlp}.part.up_proj.weight"] @ xs[t] + weights[f"{mlp}.part.up_proj.bias"]
            if i >= fusion.first and t in es:
                h = h + weights[f"{mlp}.entity_up_proj.weight"] @ es[t]
            h = 0.5 * h * (1 + torch.erf(h / math.sqrt(2)))
            out = weights[f"{mlp}.part.down_proj.weight"] @ h + weights[f"{mlp}.part.down_proj.bias"]
            xs[t] = norm(xs[t] + out, weights, f"{mlp}.norm", 1e-12)
            if i >= fusion.first and t in es:
                out = weights[f"{mlp}.entity_down_proj.weight"] @ h + weights[f"{mlp}.entity_down_proj.bias"]
                es[t] = norm(es[t] + out, weights, f"{mlp}.entity_norm", 1e-12)
    return xs, es


@pytest.mark.parametrize("first", [0, 1, 3])
def test_fused_encoder_equals_the_papers_equations(first: int) -> None:
    model = fused(first=first).double()
    batch = rows([[0, 2, 0, 0, 1, 3, 0], [0, 0, 0, 0, 0, 0, 0], [0, 0, 1, 0, 0, 0, 0]], lengths=[7, 6, 4])
    assert batch.entity_vectors is not None
    batch = Batch(**{**vars(batch), "entity_vectors": batch.entity_vectors.double()})
    streams: list[Tensor] = []
    assert model.encoder is not None
    model.encoder.layers[-1].register_forward_hook(lambda _m, _in, out: streams.append(out[1]))
    hidden = model(batch)
    assert batch.entities is not None
    links = place_entities(batch.entities, Visibility(), torch.float64)
    for row, length in enumerate([7, 6, 4]):
        xs, es = by_the_paper(model, batch, row)
        torch.testing.assert_close(hidden[row, :length], torch.stack(xs), atol=1e-10, rtol=0)
        slots = [s for s in range(links.used.shape[1]) if links.used[row, s]]
        torch.testing.assert_close(
            streams[0][row, slots], torch.stack([es[t] for t in sorted(es)]), atol=1e-10, rtol=0
        )


def test_fused_encoder_without_entities_is_exact_and_finite() -> None:
    model = fused()
    linked = rows([[0, 0, 1, 0], [0, 0, 0, 0]])
    none = Batch(linked.tokens, linked.documents)
    hidden = model(none)
    assert torch.isfinite(hidden).all()
    zeros = Batch(**{**vars(linked), "entities": torch.zeros_like(linked.tokens)})
    assert torch.equal(model(zeros), hidden)
    # A row without entities does not notice those of the row beside it.
    torch.testing.assert_close(model(linked)[1], hidden[1], atol=1e-6, rtol=0)
    assert not torch.allclose(model(linked)[0], hidden[0], atol=1e-3)
    model(linked).sum().backward()
    gradients = [weight.grad for weight in model.parameters() if weight.grad is not None]
    assert all(torch.isfinite(gradient).all() for gradient in gradients)


def test_last_layers_entity_outputs_get_no_gradient() -> None:
    model = fused()
    model(rows([[0, 2, 0, 1]])).sum().backward()
    last = model.config.encoder_layers - 1
    idle = {name for name, weight in model.named_parameters() if weight.grad is None and ".mlp." in name}
    assert idle == {
        f"encoder.layers.{last}.mlp.{name}"
        for name in (
            "entity_down_proj.weight",
            "entity_down_proj.bias",
            "entity_norm.weight",
            "entity_norm.bias",
        )
    }


def test_fusion_weights_keep_the_base_unchanged() -> None:
    base = build(Base.model_validate({"layers": 3, "hidden": D, "heads": 2}), V, 0)
    model, fresh = fuse(base, FusionConfig(first=1, hidden=E, heads=3), 7)
    again, _ = fuse(base, FusionConfig(first=1, hidden=E, heads=3), 7)
    other, _ = fuse(base, FusionConfig(first=1, hidden=E, heads=3), 8)
    old = dict(base.named_parameters())
    for (name, weight), same, different in zip(
        model.named_parameters(), again.parameters(), other.parameters(), strict=True
    ):
        assert torch.equal(weight, same)
        assert (name in fresh) == (name not in old)
        assert torch.equal(weight, old.get(name, weight))
        if name in fresh and weight.ndim == 2:
            assert not torch.equal(weight, different)
            assert 0.01 < float(weight.detach().std()) < 0.03
    batch = rows([[0, 0, 0, 0, 0]])
    assert torch.equal(without_fusion(model)(batch), base(batch))
    assert without_fusion(model).config == base.config


def test_gradient_checkpointing_of_fusion_gives_identical_gradients() -> None:
    batch = rows([[0, 2, 0, 1], [0, 0, 0, 3]])
    gradients = []
    for recompute in (False, True):
        model = fused().train()
        model.set_gradient_checkpointing(recompute)
        model(batch).square().sum().backward()
        gradients.append({name: w.grad for name, w in model.named_parameters() if w.grad is not None})
    assert gradients[0].keys() == gradients[1].keys()
    for name, gradient in gradients[0].items():
        assert torch.equal(gradient, gradients[1][name]), name


def test_entity_scores_by_hand() -> None:
    model = fused()
    assert model.entity_head is not None
    hidden, vectors = torch.randn(3, D), torch.randn(4, E)
    dense, ln = model.entity_head.dense, model.entity_head.norm
    assert isinstance(ln, nn.LayerNorm)
    expected = (
        F.layer_norm(F.gelu(hidden @ dense.weight.T + dense.bias), (E,), ln.weight, ln.bias, 1e-12)
        @ vectors.T
    )
    torch.testing.assert_close(model.entity_scores(hidden, vectors), expected)


def test_invalid_fusion_is_rejected() -> None:
    with pytest.raises(ValueError, match="at least one must fuse"):
        fused(first=4)
    with pytest.raises(ValueError, match="cannot be shared out to 4 heads"):
        FusionConfig(first=1, hidden=10, heads=4)
    gpt = build(Base.model_validate({"family": "gpt2", "layers": 2, "hidden": D, "heads": 2}), V, 0)
    with pytest.raises(ValueError, match="in an encoder such as bert"):
        fuse(gpt, FusionConfig(first=1, hidden=E, heads=3), 0)


def test_fusion_config_round_trips_through_json() -> None:
    config = fused().config
    assert TransformerConfig.from_json(json.loads(json.dumps(config.to_json()))) == config
