"""Attention: self and cross attention, with fused projections and a cache for generation."""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.attention.flex_attention import BlockMask, flex_attention

from kepipe.nn.gather import to_device
from kepipe.nn.query_positions import QueryPositions
from kepipe.nn.rotary import Rotation
from kepipe.nn.visibility import Visibility

Pair = tuple[Tensor, Tensor]

EXPLICIT_LIMIT = 512 * 512
"""Maximum number of elements of a score matrix that is materialised on a CPU. At length 512, a step of BERT-mini's
encoder over 8,192 tokens takes 1.6 s instead of 1.8 s with torch's fused kernel, and 193 MB more; at 1024, 2.2 s
instead of 2.6 s, and 410 MB more (tests/benchmarks/attention.py)."""


KERNELS = "inductor"
"""The torch.compile backend for FlexAttention's kernels."""


@dataclass(frozen=True)
class Mask:
    """A visibility, materialised for the sizes, device and precision of a forward pass.

    `bias`: added to the scores, broadcastable to [B, H, T, S], the lowest finite number at masked positions; None if
    everything is visible. `query_mask`: [B or 1, T, 1], 0 at queries without a visible key, whose output must be zero;
    None if there are none. `causal`: the kernel itself masks later positions. `runs`: int32 [N + 1], the starts of the
    pieces of packed rows, which are invisible to each other.
    """

    bias: Tensor | None = None
    query_mask: Tensor | None = None
    causal: bool = False
    blocks: BlockMask | None = None
    runs: Tensor | None = None

    @property
    def is_dense(self) -> bool:
        """Whether the mask consists of `bias` and `query_mask` only, so that it can be sliced."""
        return not self.causal and self.blocks is None and self.runs is None

    def at(self, query_positions: QueryPositions) -> Mask:
        """The mask of a subset of queries."""
        assert self.is_dense, "a kernel's own mask cannot be cut"
        bias, query_mask = self.bias, self.query_mask
        if bias is not None and bias.ndim == 4 and bias.shape[2] > 1:
            bias = bias.take_along_dim(query_positions.places[:, None, :, None], 2)
        if query_mask is not None and query_mask.shape[1] > 1:
            query_mask = query_mask.take_along_dim(query_positions.places[:, :, None], 1)
        return Mask(bias, query_mask)


def build_mask(
    visibility: Visibility,
    shape: tuple[int, int, int],
    *,
    device: torch.device,
    dtype: torch.dtype,
    past: int = 0,
    relative_HTS: Tensor | None = None,
    flex: bool = False,
    varlen: bool = False,
) -> Mask:
    """The mask of a forward pass. `shape`: rows, queries, keys.

    `relative_HTS`: a position bias of the scores, [H, T, S] or [B, H, T, S]. `varlen`: compute packed rows document
    by document, if only the documents restrict attention. `flex`: skip blocks that are masked completely.
    """
    rows, queries, keys = shape
    plain_causal = visibility.causal and not visibility.rules and relative_HTS is None
    if plain_causal and past == 0 and queries == keys and device.type != "cpu":
        return Mask(causal=True)
    if varlen and relative_HTS is None and past == 0 and visibility.packed is not None:
        runs = visibility.packed.runs()
        if runs is not None:
            there_BT1 = (visibility.packed.documents > 0)[..., None].to(dtype)
            return Mask(query_mask=there_BT1, causal=visibility.causal, runs=to_device(runs, device))
    if flex and relative_HTS is None and past == 0 and not visibility.everything:
        return Mask(blocks=visibility.blocks(rows, queries, keys, device))
    allowed = visibility.dense(rows, queries, keys, device, past)
    bias = None if relative_HTS is None else relative_HTS.to(dtype)
    if allowed is None:
        return Mask(bias)
    query_mask = allowed.any(-1, keepdim=True)
    if bias is None:
        bias = torch.zeros((), dtype=dtype, device=device)
    hidden = ~allowed[:, None]
    bias = torch.where(hidden, torch.finfo(dtype).min, bias)
    # Omitting a query mask of ones would synchronise with the GPU, and an exported graph has to be valid for other
    # rows.
    looks = device.type == "cpu" and not torch.compiler.is_exporting()
    says_nothing = looks and bool(query_mask.all())
    return Mask(bias, None if says_nothing else query_mask.to(dtype))


def attend(
    q_BTHK: Tensor, k_BSHK: Tensor, v_BSHK: Tensor, mask: Mask, scale: float, dropout: float = 0.0
) -> Tensor:
    """softmax(scale · q kᵀ + bias) v → [B, T, H·K] (Vaswani et al. 2017, eq. 1).

    On a CPU, the scores are materialised up to `EXPLICIT_LIMIT`, which keeps the [T, S] probabilities in memory; in a
    graph that is exported, at any length.
    """
    if mask.runs is not None:
        out_BTD = attend_runs(q_BTHK, k_BSHK, v_BSHK, mask.runs, mask.causal, scale).flatten(2)
        return out_BTD if mask.query_mask is None else out_BTD * mask.query_mask
    q, k, v = q_BTHK.transpose(1, 2), k_BSHK.transpose(1, 2), v_BSHK.transpose(1, 2)
    if mask.blocks is not None:
        out_BHTK = _flex(compiled=q.is_cuda)(q, k, v, block_mask=mask.blocks, scale=scale)
    elif q.device.type == "cpu" and (
        torch.compiler.is_exporting() or q.shape[-2] * k.shape[-2] <= EXPLICIT_LIMIT
    ):
        scores_BHTS = (q * scale) @ k.transpose(-1, -2)
        if mask.bias is not None:
            scores_BHTS += mask.bias
        shares_BHTS = scores_BHTS.softmax(-1)
        out_BHTK = (F.dropout(shares_BHTS, dropout) if dropout else shares_BHTS) @ v
    else:
        bias = None if mask.bias is None else mask.bias.to(q.dtype)
        out_BHTK = F.scaled_dot_product_attention(q, k, v, bias, dropout, mask.causal, scale=scale)
    out_BTD = out_BHTK.transpose(1, 2).flatten(2)
    return out_BTD if mask.query_mask is None else out_BTD * mask.query_mask


def has_varlen(device: torch.device, dtype: torch.dtype, width: int) -> bool:
    """Whether the device has a fused kernel for rows of several lengths: NVIDIA's from compute capability 8.0 on
    (A100), in 16 bits, for heads of up to 256 in steps of 8."""
    if device.type != "cuda" or torch.version.cuda is None or dtype not in (torch.bfloat16, torch.float16):
        return False
    return width <= 256 and width % 8 == 0 and torch.cuda.get_device_capability(device) >= (8, 0)


def attend_runs(
    q_BTHK: Tensor, k_BTHK: Tensor, v_BTHK: Tensor, runs: Tensor, causal: bool, scale: float
) -> Tensor:
    """Attention within the pieces of packed rows, [B, T, H, K] (Dao 2023, FlashAttention-2, for sequences of several
    lengths). The longest piece is taken to be a whole row, so that kernels do not depend on the batch. A CPU, which has
    no such kernel, works them out one by one."""
    q, k, v = (x_BTHK.flatten(0, 1) for x_BTHK in (q_BTHK, k_BTHK, v_BTHK))
    longest = q_BTHK.shape[1]
    if q.device.type != "cpu":
        from torch.nn.attention.varlen import varlen_attn

        window = (-1, 0) if causal else (-1, -1)
        out: Tensor = varlen_attn(q, k, v, runs, runs, longest, longest, scale=scale, window_size=window)  # type: ignore[assignment]
        return out.view_as(q_BTHK)
    pieces = []
    for begin, end in pairwise(runs.tolist()):
        if end > begin:
            q_HTK, k_HTK, v_HTK = (x[begin:end].transpose(0, 1) for x in (q, k, v))
            made_HTK = F.scaled_dot_product_attention(q_HTK, k_HTK, v_HTK, is_causal=causal, scale=scale)
            pieces.append(made_HTK.transpose(0, 1))
    return torch.cat(pieces).view_as(q_BTHK)


@functools.cache
def _flex(compiled: bool) -> Callable[..., Tensor]:
    """FlexAttention, compiled: without compilation, it would materialise all scores.

    One kernel per length: a kernel for dynamic lengths, which torch.compile would try at the second length, cannot be
    generated for rules that index descriptors of that length.
    """
    plain: Any = flex_attention
    if compiled:  # at the 9th length, torch would fall back to materialised scores
        limits: Any = torch._dynamo.config
        limits.recompile_limit = max(limits.recompile_limit, 64)
    kernel: Callable[..., Tensor] = (
        torch.compile(plain, dynamic=False, backend=KERNELS) if compiled else plain
    )
    return kernel


@dataclass
class Cache:
    """Keys and values of the tokens decoded so far, per attention module. `length`: number of these tokens."""

    length: int = 0
    kept: dict[nn.Module, Pair] = field(default_factory=dict)

    def extend(self, attention: nn.Module, k_BTHK: Tensor, v_BTHK: Tensor) -> Pair:
        """Append the new tokens' keys and values; returns all."""
        if attention in self.kept:
            past_k, past_v = self.kept[attention]
            k_BTHK, v_BTHK = torch.cat([past_k, k_BTHK], 1), torch.cat([past_v, v_BTHK], 1)
        self.kept[attention] = k_BTHK, v_BTHK
        return k_BTHK, v_BTHK

    def once(self, attention: nn.Module, make: Callable[[], Pair]) -> Pair:
        """Keys and values of a memory, computed only at the first token."""
        if attention not in self.kept:
            self.kept[attention] = make()
        return self.kept[attention]

    def drop_last(self) -> None:
        """Forget the last token, in a model without cross-attention."""
        self.length -= 1
        self.kept = {part: (k[:, :-1], v[:, :-1]) for part, (k, v) in self.kept.items()}

    def select(self, rows_N: Tensor) -> None:
        """Keep these rows of the batch, in this order: beam search reorders hypotheses."""
        self.kept = {part: (k[rows_N], v[rows_N]) for part, (k, v) in self.kept.items()}


class SelfAttention(nn.Module):
    """Multi-head self-attention. Query, key and value come from one projection."""

    def __init__(
        self,
        hidden: int,
        heads: int,
        width: int,
        *,
        bias: bool = True,
        scale: float | None = None,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.heads, self.width, self.dropout = heads, width, dropout
        self.scale = width**-0.5 if scale is None else scale
        self.qkv = nn.Linear(hidden, 3 * heads * width, bias)
        self.output = nn.Linear(heads * width, hidden, bias)

    def forward(
        self,
        x_BTD: Tensor,
        mask: Mask,
        cache: Cache | None = None,
        rotation: Rotation | None = None,
        query_positions: QueryPositions | None = None,
    ) -> Tensor:
        """[B, T, D] → [B, T, D], or [B, R, D] at the query positions, for which `mask` must be built. `rotation`: of
        all positions."""
        if query_positions is None:
            q, k, v = self.qkv(x_BTD).unflatten(-1, (3, self.heads, self.width)).unbind(2)
        else:
            q, k, v = self._narrowed(x_BTD, query_positions)
        if rotation is not None:
            of_queries = rotation if query_positions is None else rotation.at(query_positions)
            q, k = of_queries.turn(q), rotation.turn(k)
        if cache is not None:
            k, v = cache.extend(self, k, v)
        dropout = self.dropout if self.training else 0.0
        out_BTD: Tensor = self.output(attend(q, k, v, mask, self.scale, dropout))
        return out_BTD

    def _narrowed(self, x_BTD: Tensor, query_positions: QueryPositions) -> tuple[Tensor, Tensor, Tensor]:
        """Queries at the query positions, keys and values at all positions."""
        inner = self.heads * self.width
        parts = [inner, 2 * inner]
        of_q, of_kv = torch.split(self.qkv.weight, parts)
        q_bias, kv_bias = (None, None) if self.qkv.bias is None else torch.split(self.qkv.bias, parts)
        q_BRD = F.linear(query_positions.narrow(x_BTD), of_q, q_bias)
        kv = F.linear(x_BTD, of_kv, kv_bias).view(*x_BTD.shape[:2], 2, self.heads, self.width)
        k, v = kv.unbind(2)
        return q_BRD.view(*q_BRD.shape[:2], self.heads, self.width), k, v


class CrossAttention(nn.Module):
    """Multi-head attention of a decoder to a memory of S tokens."""

    def __init__(
        self,
        hidden: int,
        heads: int,
        width: int,
        *,
        bias: bool = True,
        scale: float | None = None,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.heads, self.width, self.dropout = heads, width, dropout
        self.scale = width**-0.5 if scale is None else scale
        self.q = nn.Linear(hidden, heads * width, bias)
        self.kv = nn.Linear(hidden, 2 * heads * width, bias)
        self.output = nn.Linear(heads * width, hidden, bias)

    def forward(self, x_BTD: Tensor, memory_BSD: Tensor, mask: Mask, cache: Cache | None = None) -> Tensor:
        """[B, T, D], [B, S, D] → [B, T, D]."""
        q = self.q(x_BTD).unflatten(-1, (self.heads, self.width))
        if cache is None:
            k, v = self._project(memory_BSD)
        else:
            k, v = cache.once(self, lambda: self._project(memory_BSD))
        dropout = self.dropout if self.training else 0.0
        out_BTD: Tensor = self.output(attend(q, k, v, mask, self.scale, dropout))
        return out_BTD

    def _project(self, memory_BSD: Tensor) -> Pair:
        k, v = self.kv(memory_BSD).unflatten(-1, (2, self.heads, self.width)).unbind(2)
        return k, v
