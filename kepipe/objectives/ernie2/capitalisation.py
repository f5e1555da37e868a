"""`capitalisation`: predict which words of a lower-cased text are capitalised (Sun et al. 2020, "ERNIE 2.0", §4.2.1).

Needs a language with capitals and a tokenizer that ignores case, so that the model does not see them. Chinese text is
rejected.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Literal

from kepipe.objectives.ernie2.labelled import Labelling, Text

if TYPE_CHECKING:
    from kepipe.data.labelled_rows import LabelledBatches
    from kepipe.tokenization.tokenizer import Tokenizer


class Capitalisation(Labelling):
    """Predict which words are capitalised. A file has lines `{"text": …}`."""

    name: Literal["capitalisation"] = "capitalisation"

    def labels(self) -> Sequence[str]:
        """See `Labelling`."""
        return ("small", "capital")


def require_lowercase(tokenizer: Tokenizer) -> int:
    """Raise ValueError for a tokenizer that keeps case: the input would contain the answer."""
    small, capital = (
        tokenizer.encode([text]).tokens.tolist() for text in ("the paris word", "The Paris Word")
    )
    if small != capital:
        raise ValueError(
            "the tokenizer keeps capitals, so the input would contain the answer: leave capitalisation out"
        )
    return tokenizer.cls


def rows(section: Capitalisation, text: Text) -> LabelledBatches:
    """Rows of documents, with a label for every word in a script that has capitals.

    Raises ValueError for a text without capitals.
    """
    from kepipe.data.formats import plan
    from kepipe.data.token_labels import capital_labels, has_capitals, with_case

    require_lowercase(text.tokenizer)
    shard = text.source(section.file)
    if not has_capitals(shard):
        raise ValueError(
            f"{shard.folder}: no word begins with a capital letter, as in Chinese, which is written without: leave "
            "capitalisation out"
        )
    examples = plan(shard, "doc-sentences", text.shape.length)
    labels = partial(capital_labels, shard, examples, with_case(text.tokenizer))
    return text.batches(shard, examples, token_labels=labels)
