"""Attention against torch's, with fully masked rows, and with a cache."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch._dynamo.testing import CompileCounterWithBackend

from kepipe.nn import attention
from kepipe.nn.attention import (
    Cache,
    CrossAttention,
    Mask,
    SelfAttention,
    attend,
    build_mask,
    has_varlen,
)
from kepipe.nn.query_positions import QueryPositions
from kepipe.nn.visibility import Visibility, by_name, causal, documents, full, nearby


def mask(visibility: Visibility, rows: int, length: int, dtype: torch.dtype = torch.float32) -> Mask:
    return build_mask(visibility, (rows, length, length), device=torch.device("cpu"), dtype=dtype)


@pytest.mark.parametrize("written_out", [True, False])
@pytest.mark.parametrize(
    "visibility", [full(), causal(), documents(torch.tensor([[1, 1, 2, 2, 2], [1, 1, 1, 2, 2]]))]
)
def test_attention_kernels_equal_torch_sdpa(
    visibility: Visibility, written_out: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not written_out:
        monkeypatch.setattr(attention, "EXPLICIT_LIMIT", 0)
    q, k, v = torch.randn(3, 2, 5, 4, 8, generator=torch.Generator().manual_seed(0)).unbind(0)
    out = attend(q, k, v, mask(visibility, 2, 5), scale=8**-0.5)
    allowed = visibility.dense(2, 5, 5)
    expected = F.scaled_dot_product_attention(
        *(x.transpose(1, 2) for x in (q, k, v)), None if allowed is None else allowed[:, None]
    )
    torch.testing.assert_close(out, expected.transpose(1, 2).flatten(2))


@pytest.mark.parametrize("written_out", [True, False])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_fully_masked_query_gives_zeros(
    written_out: bool, dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not written_out:
        monkeypatch.setattr(attention, "EXPLICIT_LIMIT", 0)
    qkv = torch.randn(3, 2, 6, 2, 4, dtype=dtype, requires_grad=True)
    descriptors = torch.tensor([[1, 1, 2, 2, 0, 0], [0, 0, 0, 0, 0, 0]])
    out = attend(*qkv.unbind(0), mask(documents(descriptors), 2, 6, dtype), scale=0.5)
    assert bool((out[descriptors == 0] == 0).all())
    assert bool((out[descriptors > 0] != 0).all())
    out.float().square().sum().backward()
    assert qkv.grad is not None
    assert bool(qkv.grad.isfinite().all())
    assert bool((qkv.grad[:, 1] == 0).all())


def test_mask_is_dense_unless_a_kernel_masks_implicitly() -> None:
    assert Mask().is_dense
    assert Mask(torch.zeros(1, 1, 3, 3)).is_dense
    assert not Mask(causal=True).is_dense


@pytest.mark.parametrize("length", [2, 5])
def test_mask_is_sliced_to_the_queries(length: int) -> None:
    bias = torch.randn(2, 1, length, length)
    query_mask = torch.randint(2, (2, length, 1)).float()
    places = torch.tensor([[length - 1], [0]])
    cut = Mask(bias, query_mask).at(QueryPositions(places, torch.arange(2)))
    assert cut.bias is not None
    assert cut.query_mask is not None
    assert torch.equal(cut.bias, torch.stack([bias[0, :, -1:], bias[1, :, :1]]))
    assert torch.equal(cut.query_mask, torch.stack([query_mask[0, -1:], query_mask[1, :1]]))
    for_all = Mask(bias[:, :, :1]).at(
        QueryPositions(places, torch.arange(2))
    )  # the same for every place that asks
    assert for_all.bias is not None
    assert torch.equal(for_all.bias, bias[:, :, :1])


def test_attention_scale_defaults_to_inverse_root_of_head_width() -> None:
    torch.manual_seed(0)
    part = SelfAttention(16, 2, 8)
    told = SelfAttention(16, 2, 8, scale=1.0)
    told.load_state_dict(part.state_dict())
    x_BTD = torch.randn(2, 5, 16)
    q, k, v = part.qkv(x_BTD).unflatten(-1, (3, 2, 8)).permute(2, 0, 3, 1, 4)
    for made, scale in ((part, 8**-0.5), (told, 1.0)):
        expected = F.scaled_dot_product_attention(q, k, v, scale=scale).transpose(1, 2).flatten(2)
        torch.testing.assert_close(made(x_BTD, Mask()), part.output(expected))


@pytest.mark.parametrize("bias", [True, False])
def test_self_attention_at_selected_positions_equals_full_attention(bias: bool) -> None:
    torch.manual_seed(0)
    part, x_BTD, sees = SelfAttention(14, 2, 7, bias=bias), torch.randn(2, 5, 14), mask(causal(), 2, 5)
    at = QueryPositions(torch.tensor([[4, 1], [0, 3]]), torch.arange(4))
    expected = part(x_BTD, sees).take_along_dim(at.places[..., None], 1)
    torch.testing.assert_close(part(x_BTD, sees.at(at), query_positions=at), expected)


def test_self_attention_with_a_cache_equals_one_pass() -> None:
    torch.manual_seed(0)
    part = SelfAttention(16, 2, 8)
    x_BTD = torch.randn(2, 5, 16)
    whole = part(x_BTD, mask(causal(), 2, 5))
    cache = Cache()
    steps = [part(x_BTD[:, :2], mask(causal(), 2, 2), cache)]
    steps += [part(x_BTD[:, t : t + 1], Mask(), cache) for t in range(2, 5)]
    torch.testing.assert_close(torch.cat(steps, 1), whole)


def test_cross_attention_projects_its_memory_once() -> None:
    torch.manual_seed(0)
    part, cache = CrossAttention(16, 2, 8), Cache()
    x_BTD, memory_BSD = torch.randn(2, 3, 16), torch.randn(2, 4, 16)
    first = part(x_BTD, memory_BSD, Mask(), cache)
    again = part(x_BTD, torch.full_like(memory_BSD, torch.nan), Mask(), cache)
    assert torch.equal(first, again)
    cache.select(torch.tensor([1, 1]))
    moved = part(x_BTD, memory_BSD, Mask(), cache)
    torch.testing.assert_close(moved[0], part(x_BTD[:1], memory_BSD[1:], Mask())[0])


def test_block_masks_equal_a_dense_mask() -> None:
    q, k, v = torch.randn(3, 2, 128, 2, 16, generator=torch.Generator().manual_seed(0)).unbind(0)
    descriptors = torch.tensor([[1] * 50 + [2] * 60 + [0] * 18, [1] * 100 + [2] * 28])
    visibility = causal() & documents(descriptors)
    blocks = build_mask(
        visibility,
        (2, 128, 128),
        device=torch.device("cpu"),
        dtype=torch.float32,
        flex=True,
    )
    assert blocks.blocks is not None
    with torch.no_grad():  # on a CPU FlexAttention has no backward pass
        out = attend(q, k, v, blocks, scale=0.25)
    torch.testing.assert_close(out, attend(q, k, v, mask(visibility, 2, 128), scale=0.25))
    assert bool((out[descriptors == 0] == 0).all())


PACKED = [[1] * 50 + [2] * 60 + [0] * 18, [1] * 100 + [2] * 28]


@pytest.mark.parametrize("visibility", ["full", "causal"])
def test_document_attention_equals_a_dense_mask(visibility: str) -> None:
    """Values and gradients, for any values on padding."""
    drawn = torch.randn(4, 2, 128, 2, 16, generator=torch.Generator().manual_seed(0))
    documents_BT = torch.tensor(PACKED)
    sight = by_name(visibility, documents_BT, host_BT=documents_BT)
    masks = [
        build_mask(
            sight, (2, 128, 128), device=torch.device("cpu"), dtype=torch.float32, flex=True, varlen=varlen
        )
        for varlen in (False, True)
    ]
    assert masks[0].blocks is not None
    assert masks[1].runs is not None
    assert masks[1].runs.tolist() == [0, 50, 110, 128, 228, 256, 256, 256, 256]
    assert not masks[1].is_dense
    results = []
    for each in (mask(sight, 2, 128), masks[1]):
        q, k, v = (part.clone().requires_grad_() for part in drawn[:3])
        out = attend(q, k, v, each, scale=0.25)
        (out * drawn[3].flatten(2)).sum().backward()
        results.append((out, q.grad, k.grad, v.grad))
    for found, expected in zip(results[1], results[0], strict=True):
        torch.testing.assert_close(found, expected)


def test_mask_beyond_documents_uses_blocks() -> None:
    """So are documents in two pieces, and rows whose documents are not known on the CPU."""
    documents_BT = torch.tensor(PACKED)
    split_BT = torch.tensor([[1] * 50 + [2] * 50 + [1] * 28])
    branch_BT = torch.zeros_like(documents_BT)
    sights = {
        "documents": by_name("causal", documents_BT, host_BT=documents_BT),
        "pieces": by_name("causal", split_BT, host_BT=split_BT),
        "tree": by_name(
            "full", documents_BT, branch_BT=branch_BT, mention_BT=branch_BT, host_BT=documents_BT
        ),
        "nearby": by_name("full", documents_BT, host_BT=documents_BT) & nearby(4),
        "nearby first": nearby(4) & by_name("full", documents_BT, host_BT=documents_BT),
        "unknown": by_name("causal", documents_BT),
    }
    rows = {name: len(split_BT) if name == "pieces" else 2 for name in sights}
    kinds = {
        name: build_mask(
            sight, (rows[name], 128, 128), device=torch.device("cpu"), dtype=torch.bfloat16,
            flex=True, varlen=True,
        )
        for name, sight in sights.items()
    }  # fmt: skip
    assert {name for name, each in kinds.items() if each.runs is not None} == {"documents"}
    assert all(each.blocks is not None for name, each in kinds.items() if name != "documents")


def test_varlen_kernel_is_called_with_valid_arguments() -> None:
    """On "meta", where arguments and shapes are checked: forward and backward. A CPU has no such kernel."""
    q, k, v = (
        torch.empty(2, 128, 2, 16, dtype=torch.bfloat16, device="meta", requires_grad=True) for _ in range(3)
    )
    runs = torch.empty(9, dtype=torch.int32, device="meta")
    out = attention.attend_runs(q, k, v, runs, True, 0.25)
    assert out.shape == q.shape
    out.sum().backward()
    assert q.grad is not None
    assert q.grad.shape == q.shape


CARDS = {"A100": ((8, 0), True), "T4": ((7, 5), False)}


@pytest.mark.parametrize("card", CARDS)
def test_varlen_kernel_availability_by_gpu(card: str, monkeypatch: pytest.MonkeyPatch) -> None:
    capability, has = CARDS[card]
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _device: capability)
    cuda, half = torch.device("cuda:0"), torch.bfloat16
    assert has_varlen(cuda, half, 64) is has
    assert not has_varlen(cuda, torch.float32, 64)
    assert not has_varlen(cuda, half, 60)
    assert has_varlen(cuda, torch.float16, 256) is has
    assert not has_varlen(cuda, half, 264)
    assert not has_varlen(torch.device("cpu"), half, 64)


def test_block_masks_are_compiled_once_per_length(monkeypatch: pytest.MonkeyPatch) -> None:
    """Other documents of a known length need no compilation. What traces is real, what it gives to is not a GPU's
    compiler."""
    tracing = CompileCounterWithBackend("eager")
    monkeypatch.setattr(attention, "KERNELS", tracing)
    attention._flex.cache_clear()
    generator = torch.Generator().manual_seed(0)
    seen = []
    for length in (128, 192, 128, 192):
        q, k, v = torch.randn(3, 2, 2, length, 8, generator=generator)
        documents_BT = 1 + (torch.rand(2, length, generator=generator) < 0.1).long().cumsum(1)
        sight = by_name("causal", documents_BT)
        blocks = sight.blocks(2, length, length, "cpu")
        found = attention._flex(compiled=True)(q, k, v, block_mask=blocks, scale=0.3)
        allowed = sight.dense(2, length, length)
        assert allowed is not None
        expected = F.scaled_dot_product_attention(q, k, v, allowed[:, None], scale=0.3)
        torch.testing.assert_close(found, expected)
        seen.append(tracing.frame_count)
    attention._flex.cache_clear()
    assert seen == [1, 2, 2, 2]


ELSEWHERE = torch.device("meta")
"""Not a CPU: shapes and kinds without values."""


@pytest.mark.parametrize(
    ("visibility", "sizes", "past", "relative"),
    [
        (causal(), (4, 4), 0, False),
        (causal() & nearby(2), (4, 4), 0, False),
        (causal(), (4, 4), 0, True),
        (causal(), (2, 4), 2, False),
        (causal(), (2, 4), 0, False),
        (nearby(2), (4, 4), 0, False),
        (full(), (4, 4), 0, True),
    ],
)
def test_kernel_masks_later_positions_of_a_plain_causal_pass_alone(
    visibility: Visibility, sizes: tuple[int, int], past: int, relative: bool
) -> None:
    bias = torch.zeros(2, *sizes, device=ELSEWHERE) if relative else None
    made = build_mask(
        visibility, (3, *sizes), device=ELSEWHERE, dtype=torch.float16, past=past, relative_HTS=bias
    )
    plain = visibility == causal() and sizes == (4, 4) and not relative
    assert made.causal is plain
    assert (made.bias is None) is plain
    assert (made.query_mask is None) is (plain or visibility == full())
    on_cpu = build_mask(visibility, (3, *sizes), device=torch.device("cpu"), dtype=torch.float32, past=past)
    assert not on_cpu.causal
    assert on_cpu.query_mask is None  # each query has a visible key, which a CPU can look up


@pytest.mark.parametrize("kernel", ["flex", "varlen"])
def test_cached_or_biased_pass_has_a_dense_mask(kernel: str) -> None:
    documents_BT = torch.tensor([[1] * 50 + [2] * 78])
    sight = by_name("causal", documents_BT, host_BT=documents_BT)
    device = torch.device("cpu")
    wanted = {kernel: True}
    step = build_mask(sight, (1, 1, 128), device=device, dtype=torch.float32, past=127, **wanted)
    bias = torch.randn(2, 128, 128)
    biased = build_mask(sight, (1, 128, 128), device=device, dtype=torch.float32, relative_HTS=bias, **wanted)
    everything = build_mask(full(), (1, 128, 128), device=device, dtype=torch.float32, **wanted)
    assert step.is_dense
    assert step.bias is not None
    assert (step.bias[0, 0, 0] == 0).tolist() == [False] * 50 + [True] * 78
    assert biased.is_dense
    assert biased.bias is not None
    seen = sight.dense(1, 128, 128)
    assert seen is not None
    assert torch.equal(biased.bias[0][:, seen[0]], bias[:, seen[0]])
    assert everything == Mask()
    plain = build_mask(sight, (1, 128, 128), device=device, dtype=torch.float32)
    assert plain.is_dense, "kernels for blocks and pieces are used if they are asked for"
    assert plain.bias is not None


@pytest.mark.parametrize("written_out", [True, False])
def test_attention_dropout_leaves_out_shares_in_training_alone(
    written_out: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not written_out:
        monkeypatch.setattr(attention, "EXPLICIT_LIMIT", 0)
    torch.manual_seed(0)
    x_BTD = torch.randn(2, 5, 16)
    for kind in (SelfAttention, CrossAttention):
        part, plain = kind(16, 2, 8, dropout=0.5), kind(16, 2, 8)
        plain.load_state_dict(part.state_dict())
        given = (x_BTD, Mask()) if kind is SelfAttention else (x_BTD, x_BTD, Mask())
        assert torch.equal(part.eval()(*given), plain(*given))
        part.train()
        drawn = torch.stack([part(*given) for _ in range(600)])
        assert not torch.allclose(drawn[0], drawn[1])
        torch.testing.assert_close(drawn.mean(0), plain(*given), atol=0.15, rtol=0)


@pytest.mark.parametrize("scale", [None, 1.0])
def test_cross_attention_equals_torch_sdpa(scale: float | None) -> None:
    torch.manual_seed(0)
    part = CrossAttention(16, 2, 8, scale=scale)
    assert part.q.bias is not None
    x_BTD, memory_BSD = torch.randn(2, 3, 16), torch.randn(2, 4, 16)
    k, v = part.kv(memory_BSD).unflatten(-1, (2, 2, 8)).permute(2, 0, 3, 1, 4)
    q = part.q(x_BTD).unflatten(-1, (2, 8)).transpose(1, 2)
    expected = F.scaled_dot_product_attention(q, k, v, scale=scale).transpose(1, 2).flatten(2)
    torch.testing.assert_close(part(x_BTD, memory_BSD, Mask()), part.output(expected))


def test_new_cache_has_no_tokens() -> None:
    cache = Cache()
    cache.select(torch.tensor([0]))
    assert (cache.length, cache.kept) == (0, {})
