"""Facts appended to a text: which, their order and number, and the positions of the text."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from kepipe.arrays import ShardEntities
from kepipe.data.batch import Batch, Mentions
from kepipe.knowledge.base import Sources
from kepipe.knowledge.triples_as_text.method import FactsBesideText, TriplesAsTextMethod
from kepipe.knowledge.triples_as_text.settings import TriplesAsText
from kepipe.models.base import Base, build
from kepipe.tokenization.tokenizer import Tokenizer
from kg.store import Graph

TEXT = "tim cook visits beijing ."
FACTS = ["beijing is a city .", "beijing lies in china .", "beijing lies in asia ."]


def opened(graph: Graph, tokenizer: Tokenizer, family: str = "bert", **settings: Any) -> FactsBesideText:
    model = build(Base(family=family, layers=1, hidden=16, heads=1, positions=64), tokenizer.vocab_size, 0)
    sources = Sources(tokenizer, model.config, graph=graph.folder)
    return TriplesAsTextMethod().open(TriplesAsText(**settings), sources, lambda _: None)


def batch_of(tokenizer: Tokenizer, *texts: str) -> Batch:
    rows = [[tokenizer.cls, *tokenizer.encode([text]).tokens, tokenizer.sep] for text in texts]
    width = max(map(len, rows))
    tokens = torch.tensor([row + [tokenizer.pad] * (width - len(row)) for row in rows])
    return Batch(tokens, (tokens != tokenizer.pad).long(), label_positions=torch.tensor([0, 4]))


MENTIONS = Mentions(
    np.array([0, 0, 1]), np.array([1, 4, 1]), np.array([3, 5, 2]), ShardEntities(np.array([0, 1, 1])),
    ("cook", "beijing"),
)  # fmt: skip


def words(tokenizer: Tokenizer, batch: Batch, row: int = 0) -> str:
    ids = batch.tokens[row][batch.documents[row] > 0]
    return " ".join(str(tokenizer.backend.id_to_token(int(id))) for id in ids)


@pytest.mark.parametrize(
    ("settings", "facts"),
    [
        ({"max_facts": 1}, ["tim cook is a person .", FACTS[0]]),
        (
            {"max_facts": 3},
            ["tim cook is a person .", FACTS[0], "tim cook leads apple .", *FACTS[1:]],
        ),
        ({"max_facts": 1, "choice": "rarest"}, ["tim cook leads apple .", FACTS[0]]),
        ({"max_facts": 1, "splits": ("test",)}, ["beijing is a person ."]),
        ({"max_facts": 1, "templates": {"is": ["the [Y] [X]"]}}, ["the person tim cook", "the city beijing"]),
        ({"max_facts": 1, "length": 15}, ["tim cook is a person ."]),
    ],
)
def test_best_facts_of_each_mention_are_appended(
    graph: Graph, tokenizer: Tokenizer, settings: dict[str, Any], facts: list[str]
) -> None:
    expected = " ".join(["[CLS]", TEXT, "[SEP]", *facts])
    batch = opened(graph, tokenizer, **settings).apply(batch_of(tokenizer, TEXT, "beijing"), MENTIONS)
    assert words(tokenizer, batch) == expected


def test_fact_is_appended_once_per_entity(graph: Graph, tokenizer: Tokenizer) -> None:
    twice = replace(MENTIONS, entities=ShardEntities(np.array([1, 1, 1])))
    batch = opened(graph, tokenizer, max_facts=1).apply(batch_of(tokenizer, TEXT, "beijing"), twice)
    assert words(tokenizer, batch) == f"[CLS] {TEXT} [SEP] {FACTS[0]}"


def test_label_positions_follow_the_text(graph: Graph, tokenizer: Tokenizer) -> None:
    plain = batch_of(tokenizer, TEXT, "beijing")
    batch = opened(graph, tokenizer).apply(plain, MENTIONS)
    assert plain.label_positions is not None
    assert batch.label_positions is not None
    assert batch.tokens.shape[1] > plain.tokens.shape[1]
    before = plain.tokens.flatten()[plain.label_positions]
    assert torch.equal(batch.tokens.flatten()[batch.label_positions], before)


def test_decoder_gets_the_facts_first(graph: Graph, tokenizer: Tokenizer) -> None:
    batch = opened(graph, tokenizer, "gpt2", max_facts=1).apply(
        batch_of(tokenizer, TEXT, "beijing"), MENTIONS
    )
    assert words(tokenizer, batch) == f"tim cook is a person . {FACTS[0]} [CLS] {TEXT} [SEP]"
    assert batch.label_positions is not None
    assert batch.tokens.flatten()[batch.label_positions].tolist() == [tokenizer.cls, tokenizer.id("beijing")]


def test_mention_outside_the_graph_gets_no_facts(graph: Graph, tokenizer: Tokenizer) -> None:
    strangers = replace(MENTIONS, ids=("nobody", "no one"))
    method = opened(graph, tokenizer)
    batch = method.apply(batch_of(tokenizer, TEXT, "beijing"), strangers)
    assert words(tokenizer, batch) == f"[CLS] {TEXT} [SEP]"
    assert not method.knows("nobody")
    coverage = method.coverage(np.array([0, 1]), ("nobody", "no one"))
    assert coverage is not None
    assert coverage.nothing


def test_missing_graph_is_requested(tokenizer: Tokenizer) -> None:
    config = build(Base(layers=1, hidden=16, heads=1), tokenizer.vocab_size, 0).config
    for open in (TriplesAsTextMethod().open, TriplesAsTextMethod().open_to_learn):
        with pytest.raises(ValueError, match=r"inputs: \{graph: graph\}"):
            open(TriplesAsText(), Sources(tokenizer, config), lambda _: None)


def test_templates_are_read_from_a_file_into_settings(tmp_path: Path) -> None:
    file = tmp_path / "templates.tsv"
    file.write_text("is\t[X] is one [Y]\nis\tone [Y] is [X]\n")
    settings = TriplesAsText.model_validate({"templates": "templates.tsv"}, context={"folder": tmp_path})
    assert settings.templates == {"is": ("[X] is one [Y]", "one [Y] is [X]")}
    assert TriplesAsText.model_validate_json(settings.model_dump_json()) == settings
    with pytest.raises(ValueError, match=r"expected \[Y\] once"):
        TriplesAsText.model_validate({"templates": {"is": "[X] is"}})
    with pytest.raises(ValueError, match="no such file"):
        TriplesAsText.model_validate({"templates": "none.tsv"}, context={"folder": tmp_path})
