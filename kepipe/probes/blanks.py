"""Blanks in held-out text that are the same for every model, and a model's loss on them.

Three tests on the same rows: single tokens as in BERT's masking, whole phrases, whole entity mentions. The entity of a
masked mention would reveal its text, so models with knowledge get only the mentions that are not masked.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
import torch

from kepipe.arrays import Bools, Floats, Ints, ShardEntities
from kepipe.data.alignment import DOCUMENT, ENTITY, PHRASE, WORD
from kepipe.data.batch import Batch, Mentions
from kepipe.data.shards import Shard
from kepipe.probes.given_knowledge import with_knowledge
from kepipe.tokenization.tokenizer import Tokenizer

if TYPE_CHECKING:
    from kepipe.knowledge.base import Knowledge
    from kepipe.models.protocols import MaskedLanguageModel

SHARES: Mapping[str, float] = {"tokens": 0.15, "phrases": 0.15, "mentions": 0.5}
"""Share of the units of each kind that is blanked. Mentions are rare, so half of them are blanked: 15% would be too few
to measure, and with half most of the context is still preserved."""


@dataclass(frozen=True)
class Blanks:
    """Rows of clean text and the positions that are blanked in each test.

    `tokens`: int [R, T] with special tokens, padded; `inside`: bool [R, T], not padding; `documents`: int [R], each
    row's document; `places`: test → flat indices into R·T, sorted. `mentions`: test → the mentions in the rows without
    a blanked token. `starts`: int [R], the position in the shard of each row's first token of text; empty for rows of
    no shard.
    """

    tokens: Ints
    inside: Bools
    documents: Ints
    places: Mapping[str, Ints]
    mentions: Mapping[str, Mentions]
    starts: Ints = field(default_factory=lambda: np.zeros(0, np.int64))

    def documents_of(self, test: str) -> Ints:
        """The document of each blank of a test, int [N]."""
        documents_N: Ints = self.documents[self.places[test] // self.tokens.shape[1]]
        return documents_N

    def positions_of(self, test: str) -> Ints:
        """The position in the shard of each blank of a test, int [N]."""
        row_N, column_N = np.divmod(self.places[test], self.tokens.shape[1])
        positions_N: Ints = self.starts[row_N] + column_N - 1  # a row begins with a special token
        return positions_N

    def mentions_in(self, test: str, start: int, stop: int) -> Mentions:
        """The mentions in rows start … stop − 1, with rows counted from `start`."""
        mentions = self.mentions[test]
        low, high = np.searchsorted(mentions.rows, [start, stop])
        return replace(
            mentions,
            rows=mentions.rows[low:high] - start,
            first=mentions.first[low:high],
            stop=mentions.stop[low:high],
            entities=ShardEntities(mentions.entities[low:high]),
        )


def draw_blanks(
    shard: Shard,
    tokenizer: Tokenizer,
    rng: np.random.Generator,
    length: int,
    max_tokens: int = 50_000,
    entities: Sequence[str] = (),
) -> Blanks:
    """Cut the shard's documents into rows of `length` tokens, sample rows with about `max_tokens` tokens, and draw
    blanks.

    `entities`: ids of the shard's entities; called only by a model with knowledge. Raises ValueError if the shard is
    empty.
    """
    if not len(shard):
        raise ValueError(f"{shard.folder}: no held-out text to measure a loss on; hold out a larger share")
    room = length - 2
    starts_R, sizes_R, documents_R = _cut(shard.documents, room)
    drawn = np.sort(rng.permutation(len(starts_R))[: max(1, max_tokens // length)])
    starts_R, sizes_R, documents_R = starts_R[drawn], sizes_R[drawn], documents_R[drawn]
    within_RT = np.arange(room) < sizes_R[:, None]
    stream_RT = np.where(within_RT, starts_R[:, None] + np.arange(room), 0)

    tokens_RT = np.full((len(drawn), length), tokenizer.pad, np.int64)
    tokens_RT[:, 0] = tokenizer.cls
    tokens_RT[:, 1:-1] = np.where(within_RT, shard.tokens[stream_RT], tokenizer.pad)
    np.put_along_axis(tokens_RT, sizes_R[:, None] + 1, tokenizer.sep, axis=1)
    units = _units(shard)
    mention_RT, entity_RT = np.full((2, *tokens_RT.shape), -1, np.int64)
    mention_RT[:, 1:-1] = np.where(within_RT, units["mentions"][stream_RT], -1)
    entity_RT[:, 1:-1] = np.where(within_RT, shard.entities[stream_RT], -1)
    places: dict[str, Ints] = {}
    mentions: dict[str, Mentions] = {}
    for test, units_N in units.items():
        chosen_RT = np.zeros(tokens_RT.shape, np.bool_)
        chosen_RT[:, 1:-1] = within_RT & _choose(units_N, SHARES[test], rng)[stream_RT]
        places[test] = np.flatnonzero(chosen_RT)
        mentions[test] = _whole_mentions(mention_RT, entity_RT, chosen_RT, entities)
    inside_RT = np.arange(length) < sizes_R[:, None] + 2
    return Blanks(tokens_RT, inside_RT, documents_R, places, mentions, starts_R)


@torch.inference_mode()
def losses_at_blanks(
    model: MaskedLanguageModel,
    tokenizer: Tokenizer,
    blanks: Blanks,
    *,
    knowledge: Knowledge | None = None,
    rows: int = 32,
    tick: Callable[[int], None] = lambda _: None,
) -> dict[str, Floats]:
    """Test → cross-entropy in nats at each blank, float [N]. `tick` is called with the number of rows done, `R · 3` in
    total.

    `knowledge`: the model's knowledge, which is applied to the batches; None: no knowledge.
    """
    losses: dict[str, Floats] = {}
    width = blanks.tokens.shape[1]
    for test, places_N in blanks.places.items():
        masked_RT = blanks.tokens.copy()
        masked_RT.ravel()[places_N] = tokenizer.mask
        labels_N = torch.from_numpy(blanks.tokens.ravel()[places_N])
        pieces = []
        for start in range(0, len(masked_RT), rows):
            low, high = np.searchsorted(places_N, [start * width, (start + rows) * width])
            batch = Batch(
                tokens=torch.from_numpy(masked_RT[start : start + rows]),
                documents=torch.from_numpy(blanks.inside[start : start + rows].astype(np.int64)),
                segments=torch.zeros(len(masked_RT[start : start + rows]), width, dtype=torch.long),
                label_positions=torch.from_numpy(places_N[low:high] - start * width),
            )
            if knowledge is not None:
                batch = with_knowledge(batch, blanks.mentions_in(test, start, start + rows), knowledge)
            logits_NV = model.masked_logits(batch)
            labels = labels_N[low:high].to(logits_NV.device)
            pieces.append(torch.nn.functional.cross_entropy(logits_NV, labels, reduction="none").cpu())
            tick(min(rows, len(masked_RT) - start))
        losses[test] = torch.cat(pieces).double().numpy()
    return losses


def _cut(documents: Ints, room: int) -> tuple[Ints, Ints, Ints]:
    """Start, size and document of each row of at most `room` tokens; a row never contains tokens of two documents."""
    sizes = np.diff(documents)
    rows_of = -(-sizes // room)
    document_R = np.repeat(np.arange(len(sizes)), rows_of)
    number_R = np.arange(len(document_R)) - np.repeat(np.cumsum(rows_of) - rows_of, rows_of)
    start_R = documents[document_R] + number_R * room
    return start_R, np.minimum(room, documents[document_R + 1] - start_R), document_R


def _units(shard: Shard) -> dict[str, Ints]:
    """Test → unit number of each token of the stream, −1 for tokens that the test does not blank.

    A phrase has two words or more; single words are covered by the first test.
    """
    bounds_N = np.asarray(shard.bounds)
    starts_phrase_N = (bounds_N & (PHRASE | DOCUMENT)) > 0
    phrase_N = np.cumsum(starts_phrase_N) - 1
    words_P = np.bincount(phrase_N, (bounds_N & WORD) > 0)
    mention_N = np.cumsum((bounds_N & (ENTITY | DOCUMENT)) > 0) - 1
    return {
        "tokens": np.arange(len(bounds_N)),
        "phrases": np.where(words_P[phrase_N] >= 2, phrase_N, -1),
        "mentions": np.where(np.asarray(shard.entities) >= 0, mention_N, -1),
    }


def _whole_mentions(mention_RT: Ints, entity_RT: Ints, chosen_RT: Bools, entities: Sequence[str]) -> Mentions:
    """The mentions without a chosen token. A mention that is cut by a row's end is a mention in both rows."""
    first_RT = mention_RT >= 0
    first_RT[:, 1:] &= mention_RT[:, 1:] != mention_RT[:, :-1]
    last_RT = mention_RT >= 0
    last_RT[:, :-1] &= mention_RT[:, 1:] != mention_RT[:, :-1]
    whole_RT = ~np.isin(mention_RT, mention_RT[chosen_RT])
    rows, first = np.nonzero(first_RT & whole_RT)
    _, last = np.nonzero(last_RT & whole_RT)
    return Mentions(rows, first, last + 1, ShardEntities(entity_RT[rows, first]), entities)


def _choose(units_N: Ints, share: float, rng: np.random.Generator) -> Bools:
    """Whether each token's unit is drawn; each unit is drawn with probability `share`."""
    drawn_U = rng.random(units_N.max(initial=0) + 1) < share
    chosen_N: Bools = drawn_U[units_N] & (units_N >= 0)
    return chosen_N
