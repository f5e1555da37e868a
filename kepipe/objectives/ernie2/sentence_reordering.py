"""`sentence-reordering`: tell in which order the shuffled segments of a paragraph stand (Sun et al. 2020, "ERNIE 2.0",
§4.2.2)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import permutations
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from kepipe.objectives.ernie2.labelled import Labelling, Text

if TYPE_CHECKING:
    from kepipe.data.labelled_rows import LabelledBatches


class SentenceReordering(Labelling):
    """Tell the order of segments. A file has lines `{"sentences": ["…", …]}`, in their right order."""

    name: Literal["sentence-reordering"] = "sentence-reordering"
    segments: int = Field(3, ge=2, le=5)
    """Into how many segments a paragraph is cut at most, m: there are 1! + 2! + … + m! orders."""

    def labels(self) -> Sequence[str]:
        """See `Labelling`: "1 0" says that the second segment stands before the first."""
        counts = range(1, self.segments + 1)
        return [" ".join(map(str, order)) for count in counts for order in permutations(range(count))]


def rows(section: SentenceReordering, text: Text) -> LabelledBatches:
    """Paragraphs, each cut into 1 to m segments. Raises ValueError where none has m sentences."""
    from kepipe.data.reordering import plan_reordered

    shard = text.source(section.file)
    examples, labels = plan_reordered(shard, text.shape.length, section.segments, text.rng())
    return text.batches(shard, examples, row_labels=labels)
