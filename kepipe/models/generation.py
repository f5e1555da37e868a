"""Generation with a transformer's decoder: greedy and sampling. `beam_search.py` has beam search; `masked_writing.py`
lets an encoder generate; `next_token.py` generates with other models.

`filter_logits` changes the distribution, a `Sampler` draws from it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from kepipe.arrays import Ints
from kepipe.models.transformer import Transformer
from kepipe.nn.attention import Cache
from kepipe.nn.visibility import Visibility, causal, documents, full, tree

Sampler = Callable[[Tensor], Tensor]
"""Logits [B, V] → tokens [B]."""


@dataclass(frozen=True)
class PromptTree:
    """One prompt with triples written into it as branches, int [T] each (see `kepipe.data.batch.Batch`).

    `positions`: soft positions, None for consecutive ones; `branch`, `mention`: None if all tokens see the branches.
    """

    tokens: Ints
    positions: Ints | None = None
    branch: Ints | None = None
    mention: Ints | None = None


@dataclass(frozen=True)
class Prompt:
    """The decoder's input, `tokens` [B, T], and for an encoder-decoder the encoder's input, `source` [B, S].

    `documents` and `source_documents` are 1 on tokens and 0 on padding at the right; None if there is no padding.
    `first`: position of each row's first token, int [B], if it is not 0 (MASS). `both_ways`: whether these tokens see
    each other in both directions (prefix LM). `positions`, `branch`, `mention`: of trees, [B, T] (see `PromptTree`);
    generated tokens are on the trunk.
    """

    tokens: Tensor
    documents: Tensor | None = None
    source: Tensor | None = None
    source_documents: Tensor | None = None
    first: Tensor | None = None
    both_ways: bool = False
    positions: Tensor | None = None
    branch: Tensor | None = None
    mention: Tensor | None = None

    def begin(self, model: Transformer, limit: int) -> DecodingState:
        """The state of decoding after the prompt, for at most `limit` tokens."""
        return DecodingState(model, self, limit)


def prompt_for(model: Transformer, source_BS: Tensor, source_documents_BS: Tensor | None = None) -> Prompt:
    """The prompt of an encoder-decoder that begins with its start token."""
    start = model.config.start
    if start is None:
        raise ValueError(f"{model.config.family}: the model names no start token; give the prompt's tokens")
    tokens_B1 = torch.full((len(source_BS), 1), start, device=source_BS.device)
    return Prompt(tokens_B1, None, source_BS, source_documents_BS)


class DecodingState:
    """The state of incremental decoding: tokens are appended, and `logits` are those of the next token, [B, V] in fp32.

    Keys and values are cached, so that each token costs one step.
    """

    def __init__(self, model: Transformer, prompt: Prompt, limit: int) -> None:
        places = model.config.positions
        begins = 0 if prompt.first is None else int(prompt.first.max())
        self.next_B = self._next(prompt)
        longest = begins + prompt.tokens.shape[1] + limit
        if prompt.positions is not None and self.next_B is not None:
            longest = int(self.next_B.max()) + limit
        if places and longest > places:
            raise ValueError(
                f"a prompt with {limit} tokens to come is {longest} long; the model has {places} positions"
            )
        self.model, self.cache = model, Cache()
        self.documents = prompt.documents
        self.branch, self.mention = prompt.branch, prompt.mention
        self.memory: Tensor | None = None
        self.source_documents = prompt.source_documents
        if prompt.source is not None:
            visibility = (
                Visibility() if prompt.source_documents is None else documents(prompt.source_documents)
            )
            self.memory = model.encode_tokens(prompt.source, visibility)
        self.logits = self._begin(prompt)
        """Of the next token, [B, V]."""

    @staticmethod
    def _next(prompt: Prompt) -> Tensor | None:
        """The position of each row's next token, int [B]; None if it is the number of tokens so far."""
        if prompt.positions is not None:
            return _last(prompt.positions, prompt.documents) + 1  # a row ends on the trunk
        if prompt.documents is None and prompt.first is None:
            return None
        first_B = torch.zeros_like(prompt.tokens[:, 0]) if prompt.first is None else prompt.first
        return first_B + (prompt.tokens.shape[1] if prompt.documents is None else prompt.documents.sum(1))

    def _begin(self, prompt: Prompt) -> Tensor:
        positions_BT, first_B = prompt.positions, prompt.first
        if first_B is not None:
            positions_BT = first_B[:, None] + torch.arange(prompt.tokens.shape[1], device=first_B.device)
        visibility = full() if prompt.both_ways else causal()
        hidden_BTD = self._decode(prompt.tokens, positions_BT, visibility)
        return self._read(_last(hidden_BTD, self.documents))

    def append(self, tokens_B: Tensor) -> None:
        """Append a token to each row."""
        self.logits = self._read(self.follow(tokens_B[:, None])[:, -1])

    def follow(self, tokens_BU: Tensor) -> Tensor:
        """Append several tokens to each row; returns their hidden states [B, U, D]. `logits` are not updated."""
        positions_BU = None
        if self.documents is not None:
            self.documents = torch.cat([self.documents, torch.ones_like(tokens_BU)], 1)
        if self.branch is not None and self.mention is not None:
            on_trunk_BU = torch.zeros_like(tokens_BU)
            self.branch = torch.cat([self.branch, on_trunk_BU], 1)
            self.mention = torch.cat([self.mention, on_trunk_BU], 1)
        if self.next_B is not None:
            positions_BU = self.next_B[:, None] + torch.arange(tokens_BU.shape[1], device=tokens_BU.device)
            self.next_B = self.next_B + tokens_BU.shape[1]
        return self._decode(tokens_BU, positions_BU, causal())

    def log_likelihoods(self, tokens_BU: Tensor) -> Tensor:
        """log p of each of these tokens, which are appended one after the other, [B, U]. `logits` are not updated."""
        found = [_chosen(self.logits[:, None], tokens_BU[:, :1])]
        if tokens_BU.shape[1] > 1:
            logits_BUV = self._read(self.follow(tokens_BU[:, :-1]))
            found.append(_chosen(logits_BUV, tokens_BU[:, 1:]))
        return torch.cat(found, 1)

    def select(self, rows_N: Tensor) -> None:
        """Keep only these rows, in this order; a row may be repeated."""
        self.cache.select(rows_N)
        self.logits = self.logits[rows_N]
        self.documents, self.memory, self.source_documents, self.next_B, self.branch, self.mention = (
            None if kept is None else kept[rows_N]
            for kept in (
                self.documents, self.memory, self.source_documents, self.next_B, self.branch, self.mention,
            )
        )  # fmt: skip

    def _decode(self, tokens_BT: Tensor, positions_BT: Tensor | None, visibility: Visibility) -> Tensor:
        if self.documents is not None:
            visibility &= documents(self.documents)
        if self.branch is not None and self.mention is not None:
            visibility &= tree(self.branch, self.mention)
        memory_visibility = None
        if self.source_documents is not None:
            memory_visibility = documents(torch.ones_like(tokens_BT), self.source_documents)
        return self.model.decode_tokens(
            tokens_BT,
            visibility,
            memory_BSD=self.memory,
            memory_visibility=memory_visibility,
            positions_BT=positions_BT,
            cache=self.cache,
        )

    def _read(self, hidden: Tensor) -> Tensor:
        return self.model.vocabulary(hidden).float()


def _chosen(logits_BUV: Tensor, tokens_BU: Tensor) -> Tensor:
    """log p of the given tokens, [B, U]."""
    return logits_BUV.log_softmax(-1).gather(2, tokens_BU[..., None]).squeeze(2)


def _last(values_BT: Tensor, documents_BT: Tensor | None) -> Tensor:
    """The value at each row's last token, [B, …]."""
    if documents_BT is None:
        return values_BT[:, -1]
    last_B = documents_BT.sum(1) - 1
    return values_BT[torch.arange(len(last_B), device=last_B.device), last_B]


@torch.no_grad()
def generate(
    model: Transformer,
    prompt: Prompt,
    *,
    limit: int,
    end: int | None = None,
    sampler: Sampler | None = None,
    no_repeat_ngram_size: int = 0,
) -> Tensor:
    """At most `limit` new tokens per row, [B, N]; a row ends with `end`, and is padded after it.

    The model should be in evaluation mode. `sampler`: greedy by default, or `sampling(…)`. `no_repeat_ngram_size`: see
    `ban_repeats`; 0: off.
    """
    sampler = sampler or greedy
    state = prompt.begin(model, limit)
    chosen: list[Tensor] = []
    ended_B = torch.zeros(len(prompt.tokens), dtype=torch.bool, device=prompt.tokens.device)
    for step in range(limit):
        logits_BV = state.logits
        if no_repeat_ngram_size and chosen:
            logits_BV = ban_repeats(logits_BV, torch.stack(chosen, 1), no_repeat_ngram_size)
        tokens_B = sampler(logits_BV).masked_fill(ended_B, model.config.pad)
        chosen.append(tokens_B)
        if end is not None:
            ended_B |= tokens_B == end
            if bool(ended_B.all()):
                break
        if step + 1 < limit:
            state.append(tokens_B)
    return torch.stack(chosen, 1)


def ban_repeats(logits_BV: Tensor, written_BN: Tensor, size: int) -> Tensor:
    """Logits [B, V] with −∞ for every token that would complete an n-gram of `size` tokens that is in `written_BN`, int
    [B, N], already (Paulus et al. 2018, §2.5)."""
    if written_BN.shape[1] < size:
        return logits_BV
    runs_BKn = written_BN.unfold(1, size, 1)
    last_B1n = written_BN[:, None, written_BN.shape[1] - size + 1 :]
    same_BK = (runs_BKn[..., :-1] == last_B1n).all(-1)
    times_BV = torch.zeros_like(logits_BV, dtype=torch.long)
    times_BV.scatter_add_(1, runs_BKn[..., -1], same_BK.long())
    return logits_BV.masked_fill(times_BV > 0, -torch.inf)


def greedy(logits_BV: Tensor) -> Tensor:
    """The most probable token of each row."""
    return logits_BV.argmax(-1)


def sampling(
    generator: torch.Generator, *, temperature: float = 1.0, top_k: int = 0, top_p: float = 1.0
) -> Sampler:
    """A `Sampler` that draws from the filtered distribution (see `filter_logits`), on the generator's device: a CPU
    generator draws the same tokens whatever the model's device."""

    def sampler(logits_BV: Tensor) -> Tensor:
        shares_BV = filter_logits(logits_BV, temperature=temperature, top_k=top_k, top_p=top_p).softmax(-1)
        drawn_B1 = torch.multinomial(shares_BV.to(generator.device), 1, generator=generator)
        return drawn_B1.squeeze(1).to(logits_BV.device)

    return sampler


def filter_logits(
    logits_BV: Tensor, *, temperature: float = 1.0, top_k: int = 0, top_p: float = 1.0
) -> Tensor:
    """Logits divided by `temperature`, and −∞ outside the `top_k` most probable tokens (0: all) and the nucleus.

    The nucleus is the smallest set of most probable tokens with at least `top_p` of the probability that `top_k` left
    (Holtzman et al. 2020, section 3.1).
    """
    if temperature <= 0 or not 0 < top_p <= 1 or top_k < 0:
        raise ValueError(
            f"temperature {temperature} > 0, 0 < top_p {top_p} ≤ 1 and top_k {top_k} ≥ 0 are needed"
        )
    logits_BV = logits_BV / temperature
    if top_k:
        least_B1 = logits_BV.topk(min(top_k, logits_BV.shape[-1])).values[:, -1:]
        logits_BV = logits_BV.masked_fill(logits_BV < least_B1, -torch.inf)
    if top_p < 1:
        # in ascending order: tokens within the last 1 − top_p of the mass are excluded, except the most probable
        ascending_BV, order_BV = logits_BV.sort()
        outside_BV = ascending_BV.softmax(-1).cumsum(-1) <= 1 - top_p
        outside_BV[:, -1] = False
        logits_BV = logits_BV.masked_fill(
            torch.zeros_like(outside_BV).scatter(1, order_BV, outside_BV), -torch.inf
        )
    return logits_BV
