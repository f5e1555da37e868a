"""Labels of single tokens: capitals and repetition."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from kepipe.data.formats import plan
from kepipe.data.token_labels import (
    capital_labels,
    elsewhere_labels,
    has_capitals,
    of_parted_documents,
    with_case,
)
from tests.support.labelled import document, minilm, shard_of


def test_words_that_could_have_a_capital_are_labelled_at_their_first_token(tmp_path: Path) -> None:
    shard = shard_of(tmp_path, [document(["Anna met 3 Würzburgers, in 北京.", "École."])])
    examples = plan(shard, "doc-sentences", 64)
    labels = capital_labels(shard, examples, with_case(minilm()), np.array([0]))
    words = [minilm().backend.id_to_token(int(token)) for token in shard.tokens]
    asked = {word: label for word, label in zip(words, labels.tolist(), strict=True) if label >= 0}
    assert asked == {"anna": 1, "met": 0, "wu": 1, "in": 0, "ecole": 1}
    assert has_capitals(shard)


def test_chinese_has_no_capital_labels(tmp_path: Path) -> None:
    shard = shard_of(tmp_path, [document(["天下雨。", "他来了。"], between="")])
    assert not has_capitals(shard)


def test_a_token_is_labelled_1_if_the_document_repeats_it_outside_the_row(tmp_path: Path) -> None:
    """Rows of 6 tokens of text: [sun sun moon red . .], [star moon . ]; the second document is one row."""
    shard = shard_of(
        tmp_path,
        [document(["sun sun moon red blue grey", "star moon"], "a"), document(["star red"], "b")],
    )
    examples = plan(shard, "doc-sentences", 8)
    kept = of_parted_documents(shard, examples)
    assert (len(examples), len(kept)) == (3, 2)
    labels = elsewhere_labels(shard, kept, np.array([1, 0]))
    assert labels.tolist() == [0, 1, 0, 0, 1, 0, 0, 0]


def test_documents_of_one_row_are_an_error(tmp_path: Path) -> None:
    shard = shard_of(tmp_path, [document(["sun", "moon"], "a")])
    with pytest.raises(ValueError, match="set a smaller `length`"):
        of_parted_documents(shard, plan(shard, "doc-sentences", 16))
