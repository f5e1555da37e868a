"""`simcse`: match a sentence with itself under another dropout mask (Gao et al. 2021, "SimCSE", §3)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from kepipe.objectives.contrastive.settings import Contrastive, paired

if TYPE_CHECKING:
    from kepipe.data.paired_rows import PairedBatches
    from kepipe.objectives.ernie2.labelled import Text


class SimCSE(Contrastive):
    """Match a sentence with itself under another dropout mask. Needs `base: {dropout: 0.1}`."""

    name: Literal["simcse"] = "simcse"

    def needs_dropout(self) -> bool:
        """See `ObjectiveSettings`: without dropout both vectors are equal."""
        return True


def rows(_section: SimCSE, text: Text) -> PairedBatches:
    """Each sentence twice."""
    import numpy as np

    from kepipe.data.paired_rows import Member, plan_sentences

    examples = plan_sentences(text.shard, text.shape.length)
    member = Member(text.shard, examples, np.arange(len(examples)))
    return paired(text, [member, member])
