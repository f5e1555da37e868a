"""`ir-relevance`: predict the relevance of a passage to a query (Sun et al. 2020, "ERNIE 2.0", §4.2.3)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from kepipe.objectives.ernie2.labelled import PairLabelling, Text

if TYPE_CHECKING:
    from kepipe.data.labelled_rows import LabelledBatches


class IRRelevance(PairLabelling):
    """Predict how relevant a passage is to a query. A file has lines `{"text_a", "text_b", "label"}`, the query first,
    the label one of strong, weak, none; without a file, titles or first sentences are queries."""

    name: Literal["ir-relevance"] = "ir-relevance"

    def labels(self) -> Sequence[str]:
        """See `Labelling`."""
        from kepipe.data.relevance import RELEVANCE

        return RELEVANCE


def rows(section: IRRelevance, text: Text) -> LabelledBatches:
    """Queries with passages. Raises ValueError if the documents share no words."""
    from kepipe.data.relevance import plan_relevance

    if section.file is not None:
        return text.pairs(section.file, section.labels())
    shard, examples, labels = plan_relevance(
        text.shard, text.shard.titles(), text.tokenizer, text.shape.length, text.rng()
    )
    return text.batches(shard, examples, row_labels=labels)
