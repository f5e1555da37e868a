"""`dlm`: ERNIE-Baidu's dialogue language model (Sun et al. 2019), on rows of format `dialogue`.

Tokens are masked as in BERT, and the model predicts whether a turn was replaced by one of another dialogue. Segment ids
are the roles of turns (who asks, who responds). A mixture with `mlm` alternates between the two.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from kepipe.objectives.mlm import Masking

if TYPE_CHECKING:
    from kepipe.arrays import Bools
    from kepipe.data.batch import TokenRows
    from kepipe.noise.draws import Draws
    from kepipe.objectives.base import Objective
    from kepipe.tokenization.tokenizer import Tokenizer


class DLM(Masking):
    """Predict masked tokens of dialogues, and whether a turn was replaced."""

    name: Literal["dlm"] = "dlm"
    tell_fakes: bool = True
    """Learn to tell real dialogues from those with a replaced turn."""

    def row_label_setting(self) -> str | None:
        """See `ObjectiveSettings`."""
        return "tell_fakes" if self.tell_fakes else None


def build(section: DLM, tokenizer: Tokenizer) -> Objective:
    """The objective over a tokenizer's ids."""
    from kepipe.noise.tokens import select_tokens
    from kepipe.objectives.masked_lm import masked_lm

    def select(rows: TokenRows, draws: Draws, _progress: float) -> Bools:
        return select_tokens(rows.special, draws, section.mlm_probability)

    return masked_lm(select, tokenizer, section, section.tell_fakes, "real")
