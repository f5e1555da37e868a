"""`sentence-distance`: predict whether two sentences are adjacent, of the same document, or of different documents (Sun
et al. 2020, "ERNIE 2.0", §4.2.2)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from kepipe.objectives.ernie2.labelled import PairLabelling, Text

if TYPE_CHECKING:
    from kepipe.data.labelled_rows import LabelledBatches


class SentenceDistance(PairLabelling):
    """Predict how far apart two sentences are. A file has lines `{"text_a", "text_b", "label"}`, the label one of
    adjacent, same-document, other-document."""

    name: Literal["sentence-distance"] = "sentence-distance"

    def labels(self) -> Sequence[str]:
        """See `Labelling`."""
        from kepipe.data.sentence_distance import DISTANCES

        return DISTANCES


def rows(section: SentenceDistance, text: Text) -> LabelledBatches:
    """Pairs of sentences. Raises ValueError for a text of fewer than two documents."""
    from kepipe.data.sentence_distance import plan_distances

    if section.file is not None:
        return text.pairs(section.file, section.labels())
    examples, labels = plan_distances(text.shard, text.shape.length, text.rng())
    return text.batches(text.shard, examples, row_labels=labels)
