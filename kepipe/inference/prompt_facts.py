"""Facts of a graph for the prompts of a language model, inserted before the text, where a causal model can use them.

No facts are given about the entities in the continuation: they would reveal what is to be predicted. Facts are read and
not scored: they do not contribute to a likelihood.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from kepipe.arrays import Ints, pad
from kepipe.data.batch import Batch, Mentions, NamedTokens
from kepipe.data.document import Mention
from kepipe.knowledge.base import Knowledge
from kepipe.knowledge.name_matcher import to_tokens
from kepipe.models.generation import PromptTree
from kepipe.models.prompting import AROUND, PromptTokens, size
from kepipe.tokenization.tokenizer import Tokenizer


def with_facts(
    knowledge: Knowledge,
    prompts: Sequence[Ints],
    named: Sequence[Sequence[NamedTokens]],
    room: int,
    pad_id: int,
) -> list[PromptTokens]:
    """The prompts with facts about the entities mentioned in each (`named`).

    `room`: number of tokens that will follow a prompt; the longest row (`length` of the method, positions of the model)
    reserves space for them, and the method gets the rest. Raises ValueError if a prompt and its continuation do not
    fit.
    """
    lengths_B = np.array([len(prompt) for prompt in prompts], np.int64)
    ahead = room + AROUND
    tokens_BT = np.full((len(prompts), int(lengths_B.max()) + ahead), pad_id, np.int64)
    tokens_BT[:, : tokens_BT.shape[1] - ahead] = pad(np.concatenate(prompts), lengths_B, pad_id)
    there_BT = np.arange(tokens_BT.shape[1]) < (lengths_B + ahead)[:, None]
    plain = Batch(
        torch.from_numpy(tokens_BT), torch.from_numpy(there_BT.astype(np.int64)), visibility="causal"
    )
    given = knowledge.apply(plain, Mentions.in_rows(named))
    if given.moved is None:
        return list(prompts)
    places_BT = given.moved.numpy()
    if (places_BT[there_BT] < 0).any():
        raise ValueError(
            f"knowledge leaves no room for a prompt of {int(lengths_B.max())} tokens and {room} more: set a larger "
            "`length` in `knowledge`"
        )
    stops_B = places_BT[np.arange(len(prompts)), lengths_B + ahead - 1] + 1 - ahead
    assert ((given.documents.numpy() > 0).sum(1) == stops_B + ahead).all(), "facts precede the continuation"
    return [_cut(given, row, stop) for row, stop in enumerate(stops_B.tolist())]


def _cut(batch: Batch, row: int, stop: int) -> PromptTokens:
    """The first tokens of a row, as a tree if the batch represents one."""
    tokens, *tree = (
        None if values is None else values[row, :stop].numpy()
        for values in (batch.tokens, batch.positions, batch.branch, batch.mention)
    )
    assert tokens is not None
    return tokens if all(values is None for values in tree) else PromptTree(tokens, *tree)


@dataclass
class PromptFacts:
    """Facts for prompts given as text. `find`: texts → the mentions in each.

    `counts` is updated by each call: number of prompts, of `mentions` in them, of mentions with an entity that the
    knowledge covers (`known`), and of `tokens` of facts.
    """

    knowledge: Knowledge
    find: Callable[[Sequence[str]], Iterable[tuple[Mention, ...]]]
    tokenizer: Tokenizer
    counts: dict[str, int] = field(
        default_factory=lambda: dict.fromkeys(("prompts", "mentions", "known", "tokens"), 0)
    )

    def before(self, texts: Sequence[str], prompts: Sequence[Ints], room: int) -> list[PromptTokens]:
        """Each of `prompts`, which are the tokens of `texts` or prefixes of them, with its facts. `room`: see
        `with_facts`."""
        encoded = self.tokenizer.encode(list(texts))
        begins = np.cumsum(encoded.lengths) - encoded.lengths
        named = []
        for number, (text, mentions) in enumerate(zip(texts, self.find(texts), strict=True)):
            own = slice(begins[number], begins[number] + encoded.lengths[number])
            placed = to_tokens(text, mentions, encoded.starts[own], encoded.ends[own])
            same = _alike(encoded.tokens[own], prompts[number])
            named.append([mention for mention in placed if mention[1] <= same])
        given = with_facts(self.knowledge, prompts, named, room, self.tokenizer.pad)
        entities = [entity for mentions in named for _, _, entity in mentions]
        self.counts["prompts"] += len(prompts)
        self.counts["mentions"] += len(entities)
        self.counts["known"] += sum(map(self.knowledge.knows, entities))
        self.counts["tokens"] += sum(map(size, given)) - sum(map(len, prompts))
        return given


def _alike(tokens: Ints, others: Ints) -> int:
    """Length of the common prefix."""
    shorter = min(len(tokens), len(others))
    differ = np.flatnonzero(tokens[:shorter] != others[:shorter])
    return int(differ[0]) if len(differ) else shorter
