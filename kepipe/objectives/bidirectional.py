"""`bidirectional-lm`: predict each word from the words before it, and from the words after it (ELMo; Peters et al.
2018, section 3.1). The two directions do not see each other; their losses are minimised together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from kepipe.objectives.settings import ObjectiveSettings

if TYPE_CHECKING:
    from kepipe.objectives.base import Objective
    from kepipe.tokenization.tokenizer import Tokenizer


class BidirectionalLM(ObjectiveSettings):
    """Predict each word from the words before it, and from the words after it."""

    name: Literal["bidirectional-lm"] = "bidirectional-lm"

    def both_directions(self) -> bool:
        """See `ObjectiveSettings`."""
        return True


def build(_section: BidirectionalLM, tokenizer: Tokenizer) -> Objective:
    """The objective over a tokenizer's words."""
    from kepipe.models.elmo.spelling import spelling_of
    from kepipe.objectives.base import Objective
    from kepipe.objectives.bidirectional_collator import BidirectionalCollator, BidirectionalLoss

    collator = BidirectionalCollator(spelling_of(tokenizer), tokenizer.cls, tokenizer.sep)
    return Objective(collator, BidirectionalLoss())
