"""`token-document`: predict which tokens of a segment also occur in other segments of its document (Sun et al. 2020,
"ERNIE 2.0", §4.2.1): repeated words are often keywords."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Literal

from kepipe.objectives.ernie2.labelled import Labelling, Text

if TYPE_CHECKING:
    from kepipe.data.labelled_rows import LabelledBatches


class TokenDocument(Labelling):
    """Predict which tokens also occur elsewhere in the document. A file has lines `{"sentences": ["…", …]}`, a document
    each."""

    name: Literal["token-document"] = "token-document"

    def labels(self) -> Sequence[str]:
        """See `Labelling`."""
        return ("here", "elsewhere")


def rows(section: TokenDocument, text: Text) -> LabelledBatches:
    """Rows of documents that span several rows. Raises ValueError if there is no such document."""
    from kepipe.data.formats import plan
    from kepipe.data.token_labels import elsewhere_labels, of_parted_documents

    shard = text.source(section.file)
    examples = of_parted_documents(shard, plan(shard, "doc-sentences", text.shape.length))
    return text.batches(shard, examples, token_labels=partial(elsewhere_labels, shard, examples))
