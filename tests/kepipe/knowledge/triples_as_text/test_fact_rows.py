"""Facts as rows: each comes once an epoch, its object is the target, and every objective has its own labels."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from kepipe.data.batch import TokenRows
from kepipe.data.row_batches import RowShape
from kepipe.knowledge.triples_as_text.fact_rows import FactRows, MixedRows, StatedFacts
from kepipe.tokenization.tokenizer import Tokenizer
from kg.store import Graph
from kg.templates import templates_of
from tests.support.rows import collate

SHAPE = RowShape(length=16, tokens=24, begin=True, seed=3)
TEMPLATES = {"in": ["[X] lies in [Y].", "[Y] of [X]."]}


def fact_rows(graph: Graph, tokenizer: Tokenizer, shape: RowShape = SHAPE) -> FactRows:
    facts = StatedFacts.of(graph, ("train",), templates_of(graph, TEMPLATES))
    return FactRows(facts, tokenizer, shape)


def words(tokenizer: Tokenizer, ids: Any) -> str:
    return " ".join(str(tokenizer.backend.id_to_token(int(id))) for id in ids)


def sentences(tokenizer: Tokenizer, rows: TokenRows) -> list[tuple[str, str]]:
    """Each row's text and its target."""
    assert rows.salient is not None
    return [
        (words(tokenizer, tokens[~special]), words(tokenizer, tokens[salient]))
        for tokens, special, salient in zip(rows.tokens, rows.special, rows.salient, strict=True)
    ]


def test_epoch_has_each_fact_once_with_its_object_as_target(graph: Graph, tokenizer: Tokenizer) -> None:
    rows = fact_rows(graph, tokenizer)
    asked = Counter(pair for n in range(rows.per_epoch) for pair in sentences(tokenizer, rows[n]))
    assert sum(asked.values()) == len(graph.triples("train"))
    assert ("tim cook is a person .", "person") in asked
    wordings = {("great wall of china lies in china .", "china"), ("china of great wall of china .", "china")}
    assert len(wordings & asked.keys()) == 1
    assert not any(object == "person" and text.startswith("beijing") for text, object in asked)  # held out


def test_templates_alternate(graph: Graph, tokenizer: Tokenizer) -> None:
    rows = fact_rows(graph, tokenizer)
    texts = Counter(text for n in range(40 * rows.per_epoch) for text, _ in sentences(tokenizer, rows[n]))
    first, second = texts["china lies in asia ."], texts["asia of china ."]
    assert first + second == 40
    assert 8 <= first <= 32  # a fair coin is out of here once in 13,000


def test_fact_rows_have_the_shape_of_text_rows(graph: Graph, tokenizer: Tokenizer) -> None:
    one = fact_rows(graph, tokenizer)[0]
    assert (one.tokens[:, 0] == tokenizer.cls).all()
    ends = (one.documents > 0).sum(1) - 1
    assert (one.tokens[np.arange(len(ends)), ends] == tokenizer.sep).all()
    assert one.tokens.size <= SHAPE.tokens
    assert one.tokens.shape == one.special.shape == one.sentences.shape == one.units["word"].shape
    plain = fact_rows(graph, tokenizer, replace(SHAPE, begin=False))[0]
    assert not (plain.tokens == tokenizer.cls).any()


def test_fact_batch_is_a_function_of_its_number(graph: Graph, tokenizer: Tokenizer) -> None:
    first, second = fact_rows(graph, tokenizer), fact_rows(graph, tokenizer)
    for n in (5, 0, 3):
        np.testing.assert_array_equal(first[n].tokens, second[n].tokens)


def test_too_long_facts_are_counted(graph: Graph, tokenizer: Tokenizer) -> None:
    rows = fact_rows(graph, tokenizer, replace(SHAPE, length=8))
    assert rows.too_long == 1  # of the great wall
    with pytest.raises(ValueError, match="no fact fits into rows of 4 tokens"):
        fact_rows(graph, tokenizer, replace(SHAPE, length=4))


def test_facts_without_names_are_skipped(tmp_path: Any, graph: Graph) -> None:
    with pytest.raises(ValueError, match="no fact in valid"):
        StatedFacts.of(graph, ("valid",), templates_of(graph))


class Text:
    """Rows that tell their number."""

    shape, per_epoch = SHAPE, 7.0

    def __getitem__(self, n: int) -> Any:
        return f"text {n}"


class Facts(Text):
    def __getitem__(self, n: int) -> Any:
        return f"fact {n}"


@pytest.mark.parametrize("share", [0.1, 0.25, 1 / 3, 0.5, 0.9])
def test_mixed_rows_keep_the_order_of_text_and_facts(share: float) -> None:
    rows = MixedRows(Text(), Facts(), share)  # type: ignore[arg-type]  # only numbers are looked at
    came: Any = [rows[n] for n in range(1000)]
    for kind, count in (("text", 1000 - int(1000 * share)), ("fact", int(1000 * share))):
        assert [each for each in came if each.startswith(kind)] == [f"{kind} {n}" for n in range(count)]
    assert rows.per_epoch == pytest.approx(7 / (1 - share))
    facts = np.cumsum([each.startswith("fact") for each in came])
    assert (np.abs(facts - share * np.arange(1, 1001)) < 1).all()


@pytest.mark.parametrize("name", ["mlm", "span-masking", "unilm"])
def test_encoder_labels_are_the_object(graph: Graph, tokenizer: Tokenizer, name: str) -> None:
    rows = fact_rows(graph, tokenizer)[0]
    assert rows.salient is not None
    batch = collate(name, rows, tokenizer)
    np.testing.assert_array_equal(batch.tokens.numpy(), np.where(rows.salient, tokenizer.mask, rows.tokens))
    np.testing.assert_array_equal(batch.labels.numpy(), rows.tokens[rows.salient])


def test_decoder_labels_are_the_whole_fact(graph: Graph, tokenizer: Tokenizer) -> None:
    rows = fact_rows(graph, tokenizer)[0]
    batch = collate("causal-lm", rows, tokenizer)
    np.testing.assert_array_equal(batch.labels.numpy(), rows.tokens[:, 1:][rows.documents[:, 1:] > 0])
