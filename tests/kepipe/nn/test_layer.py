"""Which parts of a layer and a stack are called, with what, and where dropout is."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from kepipe.nn.attention import Cache, CrossAttention, Mask, SelfAttention, build_mask
from kepipe.nn.embeddings import Embeddings
from kepipe.nn.feedforward import FeedForward
from kepipe.nn.fusion import Fusion
from kepipe.nn.layer import Layer, LayerContext, PostNorm, PreNorm, Stack, attention_layer
from kepipe.nn.placement import EntityPlacement
from kepipe.nn.query_positions import QueryPositions
from kepipe.nn.visibility import causal

X = torch.arange(24.0).reshape(2, 3, 4)


class Twice(nn.Module):
    """2 x, and a record of the contexts."""

    def __init__(self) -> None:
        super().__init__()
        self.contexts: list[LayerContext] = []
        self.weight = nn.Parameter(torch.tensor(2.0))

    def forward(
        self, x_BTD: Tensor, layer_context: LayerContext, entity_states: Tensor | None = None
    ) -> tuple[Tensor, Tensor | None]:
        self.contexts.append(layer_context)
        return self.weight * x_BTD, entity_states


def test_dropout_is_on_what_a_part_adds() -> None:
    """A dropout of 1 leaves the residual, its default everything."""
    norm = nn.LayerNorm(4)
    assert torch.equal(PostNorm(nn.Linear(4, 4), norm, 1.0)(X), norm(X))
    assert torch.equal(PreNorm(nn.Linear(4, 4), norm, 1.0)(X), X)
    part = nn.Linear(4, 4)
    assert torch.equal(PostNorm(part, norm)(X), norm(X + part(X)))
    assert torch.equal(PreNorm(part, norm)(X), X + part(norm(X)))


def test_dropout_of_embeddings_stack_and_fusion() -> None:
    assert not Embeddings(dropout=1.0)(X).any()
    context = LayerContext(Mask())
    for dropout, factor in ((0.0, 2), (1.0, 0)):
        out, entity_states = Stack(Embeddings(), [Twice()], dropout=dropout)(X, context, entity_states=X)
        assert torch.equal(out, factor * X)
        assert entity_states is X
    fusion = Fusion(FeedForward(4, 5, torch.relu), nn.Identity(), 4, nn.Identity(), dropout=1.0)
    placement = EntityPlacement(torch.ones(2, 1), torch.tensor([0, 3]), torch.ones(2, 1, 1), Mask())
    w_BTD, e_BSE = fusion(X, X[:, :1], placement)
    assert torch.equal(w_BTD, X)
    assert torch.equal(e_BSE, X[:, :1])


def test_layers_of_a_stack_get_their_own_context() -> None:
    """Local attention in the layers that have it; query positions in the last one, with the mask at them."""
    layers, near = [Twice() for _ in range(3)], LayerContext(Mask(torch.zeros(1, 1, 3, 3)))
    context = LayerContext(Mask(), local=near)
    places = QueryPositions(torch.tensor([[1], [0]]), torch.arange(2))
    states: list[Tensor] = []
    norm = nn.LayerNorm(4)
    stack = Stack(Embeddings(), layers, norm=norm, local=[0, 2])
    out, _ = stack(X, context, all_hidden_states=states, query_positions=places)
    first, second, last = (layer.contexts[0] for layer in layers)
    assert first is near
    assert second is context
    assert last.query_positions is places
    assert last.mask.bias is not None
    assert last.mask.bias.shape == (2, 1, 1, 3)
    assert torch.equal(out, norm(8 * X))
    assert [state.tolist() for state in states] == [each.tolist() for each in (X, 2 * X, 4 * X, out)]
    without = LayerContext(Mask())
    stack(X, without)
    assert layers[0].contexts[1] is without


@pytest.mark.parametrize(
    ("recompute", "training", "calls"), [(None, True, 1), (True, True, 2), (True, False, 1)]
)
def test_layers_are_recomputed_in_training_if_asked(
    recompute: bool | None, training: bool, calls: int
) -> None:
    layer = Twice()
    stack = Stack(Embeddings(), [layer]).train(training)
    if recompute is not None:
        stack.recompute = recompute
    stack(X, LayerContext(Mask()))[0].sum().backward()
    assert len(layer.contexts) == calls
    assert layer.weight.grad is not None
    assert float(layer.weight.grad) == float(X.sum())


def test_stack_of_plain_layers_with_a_dense_mask_narrows() -> None:
    plain = attention_layer(
        PostNorm, [nn.Identity(), nn.Identity()], SelfAttention(4, 1, 4), nn.Identity(), None, 0.0
    )
    assert Stack(Embeddings(), [plain]).narrows(Mask())
    assert not Stack(Embeddings(), [plain]).narrows(Mask(causal=True))
    assert not Stack(Embeddings(), [Twice()]).narrows(Mask())


def test_decoder_layer_reads_its_memory() -> None:
    """Self-attention, cross-attention, feed-forward, each with the norm of its place; without a memory as if it had no
    cross-attention."""
    torch.manual_seed(0)
    norms: list[nn.Module] = [nn.LayerNorm(4) for _ in range(3)]
    with torch.no_grad():
        for number, each in enumerate(norms):
            each.bias.fill_(number)  # type: ignore[operator,union-attr]
    own, cross, mlp = SelfAttention(4, 2, 2), CrossAttention(4, 2, 2), FeedForward(4, 6, torch.relu)
    layer = attention_layer(PostNorm, norms, own, mlp, cross, 0.0)
    mask = build_mask(causal(), (2, 3, 3), device=torch.device("cpu"), dtype=torch.float32)
    memory = torch.randn(2, 5, 4)
    memory_mask = Mask(torch.tensor([0.0, 0.0, -1e9, 0.0, -1e9]).expand(2, 1, 3, 5))
    x = norms[0](X + own(X, mask))
    met = norms[1](x + cross(x, memory, memory_mask))
    made, _ = layer(X, LayerContext(mask, memory=memory, memory_mask=memory_mask))
    torch.testing.assert_close(made, norms[2](met + mlp(met)))
    made, _ = layer(X, LayerContext(mask))
    torch.testing.assert_close(made, norms[2](x + mlp(x)))
    made, _ = Layer(layer.attention, layer.mlp)(X, LayerContext(mask, memory=memory, cache=Cache()))
    torch.testing.assert_close(made, norms[2](x + mlp(x)))
