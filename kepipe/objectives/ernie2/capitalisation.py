"""`capitalisation`: tell which words of a lower-cased text begin with a capital (Sun et al. 2020, "ERNIE 2.0", §4.2.1).

Names and the beginnings of sentences have capitals in a language that writes them; a tokenizer that ignores case does
not show them to the model. Chinese is written without, and is refused.
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
    """Tell which words begin with a capital. A file has lines `{"text": …}`."""

    name: Literal["capitalisation"] = "capitalisation"

    def labels(self) -> Sequence[str]:
        """See `Labelling`."""
        return ("small", "capital")


def require_lowercase(tokenizer: Tokenizer) -> int:
    """Raises ValueError for a tokenizer that keeps case: the answer would stand in the text."""
    small, capital = (
        tokenizer.encode([text]).tokens.tolist() for text in ("the paris word", "The Paris Word")
    )
    if small != capital:
        raise ValueError(
            "the tokenizer keeps capitals, so that nothing is left to tell: leave capitalisation out"
        )
    return tokenizer.cls


def rows(section: Capitalisation, text: Text) -> LabelledBatches:
    """Stretches of documents, every word of which is asked that could have a capital.

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
