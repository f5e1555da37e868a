"""Attention masks as small rules that are combined with `&` and read integer descriptors of shape [B, T].

A rule is a function of index tensors (row b, query q, key k) to bool. FlexAttention compiles this form, and evaluated
on broadcast aranges it gives the dense mask, so each rule is written once.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor
from torch.nn.attention.flex_attention import BlockMask, create_block_mask

Rule = Callable[[Tensor, Tensor, Tensor], Tensor]
NAMES = ("full", "causal", "backward", "prefix")


@dataclass(frozen=True)
class Packed:
    """Rows that hold several documents one after the other, int [B, T], and the same on the CPU."""

    documents: Tensor
    host: Tensor

    def runs(self) -> Tensor | None:
        """Where documents begin among the B·T places, and the end: int32 [runs + 1], on the CPU.

        Padding (document 0) is a run of its own. There are a power of two of runs, the last of them empty, so that
        kernels see few shapes. None if a document of a row is in two pieces.
        """
        documents_BT = self.host.numpy()
        begins_BT = np.ones(documents_BT.shape, bool)
        begins_BT[:, 1:] = documents_BT[:, 1:] != documents_BT[:, :-1]
        begins = np.flatnonzero(begins_BT)
        rows, length = documents_BT.shape
        pieces = (begins // length) * (1 + int(documents_BT.max())) + documents_BT.ravel()[begins]
        if len(np.unique(pieces)) < len(pieces):
            return None
        bounds = np.full(1 + (1 << (len(begins) - 1).bit_length()), rows * length, np.int32)
        bounds[: len(begins)] = begins
        return torch.from_numpy(bounds)


@dataclass(frozen=True)
class Visibility:
    """A key is visible to a query if all `rules` hold. `causal` is separate: kernels implement it without a mask."""

    rules: tuple[Rule, ...] = ()
    causal: bool = False
    packed: Packed | None = None
    """The documents of packed rows, if that is all that `rules` say."""

    def __and__(self, other: Visibility) -> Visibility:
        alone = self.packed if not other.rules else other.packed if not self.rules else None
        return Visibility(self.rules + other.rules, self.causal or other.causal, alone)

    @property
    def everything(self) -> bool:
        """Whether every query attends to every key, so that no mask is needed."""
        return not self.rules and not self.causal

    def dense(
        self, rows: int, queries: int, keys: int, device: torch.device | str = "cpu", past: int = 0
    ) -> Tensor | None:
        """Bool, broadcastable to [rows, queries, keys]; None if everything is visible.

        Query t is at position past + t of the keys (`past` tokens are in a cache).
        """
        if self.everything or (not self.rules and queries == 1 and past == keys - 1):
            return None
        b = torch.arange(rows, device=device)[:, None, None]
        q = torch.arange(past, past + queries, device=device)[None, :, None]
        k = torch.arange(keys, device=device)[None, None, :]
        return self._allowed(b, q, k)

    def among(self, places_BS: Tensor) -> Tensor | None:
        """The mask among selected positions of each row: bool [B, S, S]; None if everything is visible."""
        if self.everything:
            return None
        b = torch.arange(len(places_BS), device=places_BS.device)[:, None, None]
        return self._allowed(b, places_BS[:, :, None], places_BS[:, None, :])

    def _allowed(self, b: Tensor, q: Tensor, k: Tensor) -> Tensor | None:
        allowed = k <= q if self.causal else None
        for rule in self.rules:
            seen = rule(b, q, k)
            allowed = seen if allowed is None else allowed & seen
        return allowed

    def blocks(self, rows: int, queries: int, keys: int, device: torch.device | str) -> BlockMask:
        """The same as FlexAttention's block mask, which skips fully masked blocks."""

        def visible(b: Tensor, _head: Tensor, q: Tensor, k: Tensor) -> Tensor:
            allowed = k <= q if self.causal else k >= 0
            for rule in self.rules:
                allowed = allowed & rule(b, q, k)
            return allowed

        return create_block_mask(visible, rows, None, queries, keys, device=str(device))


def full() -> Visibility:
    """Every position attends to every position."""
    return Visibility()


def causal() -> Visibility:
    """Each position attends to itself and to earlier positions."""
    return Visibility(causal=True)


def backward() -> Visibility:
    """Each position attends to itself and to later positions (UniLM's right-to-left mode)."""
    return Visibility((lambda _b, q, k: k >= q,))


def prefix(prefix_BT: Tensor) -> Visibility:
    """The source (prefix 1) is visible to all; a target token (0) only to itself and to later target tokens (UniLM)."""

    def sees(b: Tensor, q: Tensor, k: Tensor) -> Tensor:
        return (prefix_BT[b, k] > 0) | ((k <= q) & (prefix_BT[b, q] == 0))

    return Visibility((sees,))


def nearby(reach: int) -> Visibility:
    """Each position attends to up to `reach` positions on either side."""
    return Visibility((lambda _b, q, k: (q - k).abs() <= reach,))


def tree(branch_BT: Tensor, mention_BT: Tensor) -> Visibility:
    """K-BERT's visible matrix (Liu et al. 2020, eq. 3).

    `branch` is 0 on the sentence and unique for each injected triple; `mention` connects a triple to the tokens of its
    mention in the sentence (0: none).
    """
    # int32: the cost is the comparison of [B, T, T] numbers
    branch_BT, mention_BT = branch_BT.int(), mention_BT.int()
    named_BT = torch.where(mention_BT > 0, mention_BT, -1)

    def sees(b: Tensor, q: Tensor, k: Tensor) -> Tensor:
        branch_q, branch_k = branch_BT[b, q], branch_BT[b, k]
        same_mention = named_BT[b, q] == mention_BT[b, k]
        one_on_trunk = (branch_q == 0) | (branch_k == 0)
        return (branch_q == branch_k) | (same_mention & one_on_trunk)

    return Visibility((sees,))


Layout = Literal["whole", "padded", "packed"]
"""How rows hold documents: one that fills the row; one and padding; or several, masked from each other."""


def layout_of(query_BT: Tensor, key_BS: Tensor | None = None) -> Layout:
    """The layout of the descriptors `documents`, determined from their values, which synchronises with a GPU.

    An exported graph has to be valid for all rows with one document each: "padded".
    """
    if torch.compiler.is_exporting():
        return "padded"
    key_BS = query_BT if key_BS is None else key_BS
    single = bool((query_BT.amax() <= 1) & (key_BS.amax() <= 1))
    if single:
        return "whole" if bool((key_BS > 0).all()) else "padded"
    alike = key_BS.shape == query_BT.shape and bool(
        ((key_BS == key_BS[:, :1]) & (key_BS > 0) & (query_BT == key_BS)).all()
    )
    return "whole" if alike else "packed"


def documents(
    query_BT: Tensor,
    key_BS: Tensor | None = None,
    layout: Layout | None = None,
    host_BT: Tensor | None = None,
) -> Visibility:
    """Padding (0) is never visible; in packed rows, a document is visible only to its own positions.

    Rows of one document each need no rule, and padded ones only a test of the key. `layout` gives the kind; None: it is
    determined from the descriptors, to avoid masks in kernels where they have no effect. `host_BT`: `query_BT` on the
    CPU, for self-attention; kernels for rows of several lengths need it.
    """
    packed = None if host_BT is None or key_BS is not None else Packed(query_BT, host_BT)
    key_BS = query_BT if key_BS is None else key_BS
    layout = layout or layout_of(query_BT, key_BS)
    if layout == "whole":
        return Visibility()
    if layout == "padded":
        return Visibility((lambda b, _q, k: key_BS[b, k] > 0,))
    return Visibility((lambda b, q, k: (query_BT[b, q] == key_BS[b, k]) & (key_BS[b, k] > 0),), packed=packed)


def by_name(
    name: str,
    documents_BT: Tensor | None = None,
    *,
    prefix_BT: Tensor | None = None,
    branch_BT: Tensor | None = None,
    mention_BT: Tensor | None = None,
    layout: Layout | None = None,
    host_BT: Tensor | None = None,
) -> Visibility:
    """The visibility of a batch by name, combined with its documents of that `layout` (on the CPU `host_BT`), and with
    its tree if it has branches."""
    if name == "full":
        visibility = full()
    elif name == "causal":
        visibility = causal()
    elif name == "backward":
        visibility = backward()
    elif name == "prefix":
        if prefix_BT is None:
            raise ValueError('visibility "prefix" needs the descriptor `prefix` (1: source, 0: target)')
        visibility = prefix(prefix_BT)
    else:
        raise ValueError(f"unknown visibility {name!r}; known: {', '.join(NAMES)}")
    if branch_BT is not None and mention_BT is not None:
        visibility &= tree(branch_BT, mention_BT)
    if documents_BT is None:
        return visibility
    return visibility & documents(documents_BT, layout=layout, host_BT=host_BT)
