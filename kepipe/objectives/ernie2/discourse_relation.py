"""`discourse-relation`: predict the relation of a sentence to the one before it, after its connective is removed (Sun
et al. 2020, "ERNIE 2.0", §4.2.3)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

from pydantic import model_validator

from kepipe.data.script import Language
from kepipe.objectives.ernie2.labelled import PairLabelling, Text

if TYPE_CHECKING:
    from kepipe.data.connectives import Connectives
    from kepipe.data.labelled_rows import LabelledBatches


class DiscourseRelation(PairLabelling):
    """Predict the relation of two sentences. A file has lines `{"text_a", "text_b", "label"}`, with any labels."""

    name: Literal["discourse-relation"] = "discourse-relation"
    language: Language = "en"
    """The language of the connectives (`kepipe/data/connectives.py`)."""
    connectives: dict[str, tuple[str, ...]] | None = None
    """Relation → its connectives at the beginning of a sentence, in place of the language's defaults."""

    @model_validator(mode="after")
    def _several_relations(self) -> DiscourseRelation:
        if self.connectives is not None and len(self.connectives) < 2:
            raise ValueError("connectives: at least two relations are needed")
        return self

    def stated_by(self) -> Connectives:
        """Relation → its connectives."""
        from kepipe.data.connectives import CONNECTIVES

        return CONNECTIVES[self.language] if self.connectives is None else self.connectives

    def labels(self) -> Sequence[str]:
        """See `Labelling`: those of the file, or the relations."""
        from kepipe.data.user_rows import labels_of

        return tuple(self.stated_by()) if self.file is None else labels_of(self.file)


def rows(section: DiscourseRelation, text: Text) -> LabelledBatches:
    """Pairs of neighbouring sentences. Raises ValueError for a text without connectives."""
    from kepipe.data.discourse import marker_tokens, plan_discourse

    if section.file is not None:
        return text.pairs(section.file, section.labels())
    markers = marker_tokens(section.stated_by(), text.tokenizer)
    examples, labels = plan_discourse(text.shard, text.shape.length, markers, text.rng())
    return text.batches(text.shard, examples, row_labels=labels)
