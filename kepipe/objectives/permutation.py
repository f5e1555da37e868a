"""`permutation-lm`: predict tokens in a random order, each from those earlier in that order, at any position in the
text (XLNet; Yang et al. 2019, §2.2)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from kepipe.objectives.settings import ObjectiveSettings

if TYPE_CHECKING:
    import numpy as np

    from kepipe.arrays import Bools, Ints
    from kepipe.data.batch import Batch, TokenRows
    from kepipe.objectives.base import Objective
    from kepipe.tokenization.tokenizer import Tokenizer


class PermutationLM(ObjectiveSettings):
    """Predict the last tokens of a random order, from those predicted before them."""

    name: Literal["permutation-lm"] = "permutation-lm"
    partial: int = Field(6, ge=1, le=100)
    """Partial prediction: one word in this many is predicted, the last ones of the order (§2.3, K); the others are
    context."""
    longest_span: int = Field(5, ge=1, le=100)
    """Maximum length of a predicted span, in words; a span of n words is drawn 1/n times as often as one of a single
    word."""
    left_to_right: float = Field(0.0, ge=0, le=1)
    """Share of rows whose tokens are all predicted left to right, for a model that is to generate text."""
    from_right: bool = False
    """With `streams`, read half of the rows right to left, so that their memory is the text that follows."""

    def both_directions(self) -> bool:
        """See `ObjectiveSettings`."""
        return self.from_right


def build(section: PermutationLM, _tokenizer: Tokenizer) -> Objective:
    """The objective; it needs no special token."""
    import numpy as np

    from kepipe.data.batch import Batch
    from kepipe.models.networks.xlnet_masks import ORDER
    from kepipe.objectives.base import Objective
    from kepipe.objectives.losses import TokenLoss, tensor

    def collate(rows: TokenRows, rng: np.random.Generator, _progress: float) -> Batch:
        target_BT = draw_targets(rows.units["word"], rng, section.partial, section.longest_span)
        order_BT = draw_order(target_BT, rows.special, rng)
        if section.left_to_right:
            in_turn_B1 = rng.random((len(order_BT), 1)) < section.left_to_right
            place_BT = np.broadcast_to(np.arange(order_BT.shape[1]), order_BT.shape)
            order_BT = np.where(in_turn_B1, place_BT, order_BT)
            target_BT = np.where(in_turn_B1, (rows.documents > 0) & (place_BT > 0), target_BT)
        return Batch(
            tokens=tensor(rows.tokens),
            documents=tensor(rows.documents),
            segments=tensor(rows.segments) if rows.segments.any() else None,
            label_positions=tensor(np.flatnonzero(target_BT)),
            labels=tensor(rows.tokens[target_BT]),
            extra={ORDER: tensor(order_BT)},
        )

    return Objective(collate, TokenLoss("permutation"))


def draw_targets(words_BT: Ints, rng: np.random.Generator, partial: int, longest: int) -> Bools:
    """Tokens to predict: bool [B, T]; spans of 1 to `longest` words, each at a random place in its own window of
    `partial` times as many words (Yang et al. 2019, §3.1 and code). At least one word, if a row has any.

    `words_BT`: each token's word, counted from 0, −1 where it is none.
    """
    import numpy as np

    from kepipe.noise.units import spread

    words_B = words_BT.max(1, initial=-1) + 1
    rows, most = len(words_BT), int(words_B.max(initial=0))
    chance_L = 1.0 / np.arange(1, longest + 1)
    length_BS = rng.choice(longest, (rows, -(-most // partial)), p=chance_L / chance_L.sum()) + 1
    within_BS = np.floor(rng.random(length_BS.shape) * ((partial - 1) * length_BS + 1)).astype(np.int64)
    begin_BS = partial * (np.cumsum(length_BS, 1) - length_BS) + within_BS
    row_BS = np.broadcast_to(np.arange(rows)[:, None], begin_BS.shape)
    chosen_BW = np.zeros((rows, most), np.bool_)
    for step in range(longest):
        inside_BS = (step < length_BS) & (begin_BS + step < words_B[:, None])
        chosen_BW[row_BS[inside_BS], begin_BS[inside_BS] + step] = True
    one_B = np.floor(rng.random(rows) * words_B).astype(np.int64)
    none_B = np.flatnonzero(~chosen_BW.any(1) & (words_B > 0))
    chosen_BW[none_B, one_B[none_B]] = True
    return spread(chosen_BW, words_BT)


def draw_order(target_BT: Bools, special_BT: Bools, rng: np.random.Generator) -> Ints:
    """Each token's number in the order, int [B, T]: −1 for context tokens, a random number of its own for each token to
    predict and each special token. So no context token sees a predicted one (Yang et al. 2019, code)."""
    import numpy as np

    order_BT = rng.permuted(np.broadcast_to(np.arange(target_BT.shape[1]), target_BT.shape), axis=1)
    found: Ints = np.where(target_BT | special_BT, order_BT, -1)
    return found
