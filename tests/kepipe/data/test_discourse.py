"""Pairs whose connective is removed, in English and Chinese."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from kepipe.data.connectives import CONNECTIVES
from kepipe.data.discourse import marker_tokens, plan_discourse
from kepipe.tokenization.training import train_tokenizer
from tests.support.labelled import document, minilm, segment_texts, shard_of

RELATIONS = ["comparison", "contingency", "expansion", "temporal"]


def mined(folder: Path, sentences: list[str], language: str = "en") -> list[tuple[list[str], str]]:
    tokenizer = minilm() if language == "en" else train_tokenizer(sentences, "wordpiece", 300, True)
    shard = shard_of(folder, [document(sentences, between=" " if language == "en" else "")], tokenizer)
    markers = marker_tokens(CONNECTIVES[language], tokenizer)  # type: ignore[index]
    examples, labels = plan_discourse(shard, 64, markers, np.random.default_rng(0))
    rows = segment_texts(shard, examples, tokenizer)
    return [(row, RELATIONS[n]) for row, n in zip(rows, labels.tolist(), strict=True)]


def test_english_connectives_are_found_at_the_beginning_of_sentences(tmp_path: Path) -> None:
    sentences = [
        "However, nothing stands before this.",
        "It rained.",
        "Therefore, we stayed.",
        "He said however nothing.",
        "But she left.",
        "Sofia is a city.",
        "So far it is cold.",
        "So, it is warm.",
        "For example, in May.",
        "Then",
    ]
    assert mined(tmp_path, sentences) == [
        (["it rained.", "we stayed."], "contingency"),
        (["he said however nothing.", "she left."], "comparison"),
        (["so far it is cold.", "it is warm."], "contingency"),
        (["so, it is warm.", "in may."], "expansion"),
    ]


def test_the_longest_chinese_connective_matches(tmp_path: Path) -> None:
    found = mined(tmp_path, ["天下雨。", "但是他来了。", "因此，我们走。", "最后他笑了。"], "zh")
    assert [([text.replace(" ", "") for text in row], relation) for row, relation in found] == [
        (["天下雨。", "他来了。"], "comparison"),
        (["但是他来了。", "我们走。"], "contingency"),
        (["因此，我们走。", "他笑了。"], "temporal"),
    ]


@pytest.mark.parametrize("kind", ["bpe", "unigram"])
def test_connectives_are_found_with_other_tokenizers(kind: str) -> None:
    texts = ["It rained. However, we stayed. But she left. For example, in May."] * 40
    tokenizer = train_tokenizer(texts, kind, 400, False)  # type: ignore[arg-type]
    markers = {tokens: number for number, tokens in marker_tokens(CONNECTIVES["en"], tokenizer)}
    tokens = tokenizer.encode(["It rained. However, we stayed."]).tokens.tolist()
    before = len(tokenizer.encode(["It rained."]).tokens)
    after = len(tokenizer.encode(["It rained. However,"]).tokens)
    assert markers[tuple(tokens[before:after])] == RELATIONS.index("comparison")


def test_a_text_without_connectives_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no sentence begins with a connective"):
        mined(tmp_path, ["It rained.", "We stayed."])


def test_no_connective_belongs_to_two_relations() -> None:
    for connectives in CONNECTIVES.values():
        words = [word for of_relation in connectives.values() for word in of_relation]
        assert len(set(words)) == len(words)
