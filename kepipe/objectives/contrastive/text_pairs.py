"""`text-pairs`: match pairs of texts, such as a sentence and one that it entails (Gao et al. 2021, "SimCSE", §4)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from kepipe.objectives.contrastive.settings import OfFile, paired, text_rows

if TYPE_CHECKING:
    from kepipe.data.paired_rows import PairedBatches
    from kepipe.objectives.ernie2.labelled import Text

KEYS = ("text_a", "text_b", "negative")


class TextPairs(OfFile):
    """Match pairs of texts. The file has lines `{"text_a", "text_b"}`, optionally (in all lines) with a hard
    `negative`."""

    name: Literal["text-pairs"] = "text-pairs"


def rows(section: TextPairs, text: Text) -> PairedBatches:
    """The texts of the file. Raises ValueError with file and line."""
    import numpy as np

    from kepipe.data.paired_rows import Member, read_groups

    groups = read_groups(section.file, KEYS, evaluation=text.evaluation)
    documents = [document for group in groups for document in group]
    shard, examples = text_rows(section.file, documents, text.tokenizer, text.shape.length)
    width = len(groups[0])
    numbers = np.arange(len(groups)) * width
    return paired(text, [Member(shard, examples, numbers + place) for place in range(width)])
