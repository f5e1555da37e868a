"""`sentence-reordering`: predict the order of the shuffled segments of a paragraph (Sun et al. 2020, "ERNIE 2.0",
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
    """Predict the order of segments. A file has lines `{"sentences": ["…", …]}`, in their right order."""

    name: Literal["sentence-reordering"] = "sentence-reordering"
    segments: int = Field(3, ge=2, le=5)
    """The maximum number m of segments of a paragraph; there are 1! + 2! + … + m! classes."""

    def labels(self) -> Sequence[str]:
        """See `Labelling`: "1 0" means that the second segment comes before the first."""
        counts = range(1, self.segments + 1)
        return [" ".join(map(str, order)) for count in counts for order in permutations(range(count))]


def rows(section: SentenceReordering, text: Text) -> LabelledBatches:
    """Paragraphs, each cut into 1 to m segments. Raises ValueError if none has m sentences."""
    from kepipe.data.reordering import plan_reordered

    shard = text.source(section.file)
    examples, labels = plan_reordered(shard, text.shape.length, section.segments, text.rng())
    return text.batches(shard, examples, row_labels=labels)
