"""From rows with mentions to sentence trees: lookup, choice and wording of triples; pretraining rows; names in text."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kepipe.arrays import pad
from kepipe.data.batch import Mentions, MentionSpans
from kepipe.data.document import Mention
from kepipe.finetuning.rows import EntitySpan, Row
from kepipe.knowledge.choosing.choices import CHOICES
from kepipe.knowledge.choosing.facts import Facts
from kepipe.knowledge.choosing.ranking import RankingContext, RankingSources
from kepipe.knowledge.choosing.triple_tokenizer import TripleTokenizer
from kepipe.knowledge.choosing.walks import pagerank
from kepipe.knowledge.kbert.injector import Injector
from kepipe.knowledge.kbert.settings import KBert
from kepipe.knowledge.kbert.tree import InjectedRows
from kepipe.knowledge.name_matcher import Dictionary, to_tokens
from kepipe.tokenization.tokenizer import Tokenizer
from kg.neighbourhood import Neighbourhood
from kg.schema import Entity, Relation, Triple
from kg.store import Graph
from kg.vectors import save_vectors
from kg.writer import write_graph
from tests.support.rows import rows as pretraining_rows

TEXT = "Tim Cook visits Beijing ."


def row(tokenizer: Tokenizer, text: str = TEXT, **names: str) -> Row:
    """[CLS] text [SEP] and the mentions of `names`: surface → entity."""
    encoded = tokenizer.encode([text])
    mentions = [
        Mention(text.index(surface), text.index(surface) + len(surface), id) for surface, id in names.items()
    ]
    placed = to_tokens(text, mentions, encoded.starts, encoded.ends, offset=1)
    tokens = np.concatenate([[tokenizer.cls], encoded.tokens, [tokenizer.sep]])
    return Row(tokens, np.zeros_like(tokens), (0,), tuple(EntitySpan(*each) for each in placed))


def plant(injector: Injector, rows: Sequence[Row]) -> InjectedRows:
    """The trees of rows, whose entities the injector looks up."""
    lengths = np.array([len(each) for each in rows])
    mentions = Mentions.in_rows([row.mentions for row in rows])
    graph_rows = np.array([*map(injector.chooser.row, mentions.ids), -1])
    tokens = pad(np.concatenate([each.tokens for each in rows]), lengths, 0)
    return injector.build_rows(tokens, lengths, mentions, graph_rows[mentions.entities])


def words(tokenizer: Tokenizer, injected: InjectedRows, number: int = 0) -> str:
    return " ".join(str(tokenizer.backend.id_to_token(int(id))) for id in injected.tokens[number])


def inject(graph: Graph, tokenizer: Tokenizer, *rows: Row, **settings: Any) -> str:
    return words(tokenizer, plant(Injector(graph, tokenizer, KBert(**settings)), rows))


def both(tokenizer: Tokenizer) -> Row:
    return row(tokenizer, **{"Tim Cook": "cook", "Beijing": "beijing"})


def test_triples_are_injected_in_graph_order_by_default(graph: Graph, tokenizer: Tokenizer) -> None:
    """Relations keep the given order, so `is` comes first; the held-out fact is not injected."""
    assert inject(graph, tokenizer, both(tokenizer)) == (
        "[CLS] tim cook is a person leads apple visits beijing is a city lies in china . [SEP]"
    )


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"max_branches": 1}, "[CLS] tim cook is a person visits beijing is a city . [SEP]"),
        ({"max_branches": 1, "predicate": False}, "[CLS] tim cook person visits beijing city . [SEP]"),
        (
            {"splits": ("train", "test")},
            "[CLS] tim cook is a person leads apple visits beijing is a city is a person . [SEP]",
        ),
        ({"length": 10}, "[CLS] tim cook is a person visits beijing . [SEP]"),
        ({"length": 10, "upstream": True}, "[CLS] tim cook is a person leads apple visits beijing"),
        (
            {"choice": "rarest", "max_branches": 1},
            "[CLS] tim cook leads apple visits beijing is a city . [SEP]",
        ),
    ],
)
def test_k_bert_settings_change_the_injected_row(
    graph: Graph, tokenizer: Tokenizer, settings: dict[str, Any], expected: str
) -> None:
    assert inject(graph, tokenizer, both(tokenizer), **settings) == expected


def test_rarest_scores_are_the_information_of_relation_and_object(graph: Graph, tokenizer: Tokenizer) -> None:
    facts = Facts.of(graph, ["train"])
    choice = CHOICES["rarest"]
    assert choice.static_score is not None
    worth = choice.static_score(RankingSources(graph, facts, TripleTokenizer(graph, tokenizer, True)))
    is_main_process = [tuple(triple) for triple in facts.triples.tolist()].index((0, 2, 1))
    assert worth[is_main_process] == pytest.approx(np.log(8 / 1) + np.log(8 / 1)), (
        "one of 8 has this relation, one this object"
    )


def test_pagerank_prefers_triples_near_other_entities(graph: Graph, tokenizer: Tokenizer) -> None:
    def of_beijing(other: str) -> str:
        text = f"Beijing visits {other}"
        ids = {"Great Wall of China": "great wall", "Tim Cook": "cook"}
        dressed = row(tokenizer, text, **{"Beijing": "beijing", other: ids[other]})
        return inject(graph, tokenizer, dressed, choice="pagerank", max_branches=1).split(" visits")[0]

    assert of_beijing("Great Wall of China") == "[CLS] beijing lies in china"
    assert of_beijing("Tim Cook") == "[CLS] beijing is a city", "not connected: the graph's order"
    alone = row(tokenizer, "Beijing", Beijing="beijing")
    assert (
        inject(graph, tokenizer, alone, choice="pagerank", max_branches=1) == "[CLS] beijing is a city [SEP]"
    )


def test_pagerank_scores_equal_power_iteration(tmp_path: Path, tokenizer: Tokenizer) -> None:
    """Walks against the exact vector of `kg.neighbourhood`, restarting at the other entities of the row."""
    rng = np.random.default_rng(0)
    entities = [Entity(f"e{n}", f"e{n}") for n in range(40)]
    edges = [
        Triple(f"e{n}", "r", f"e{k}") for n in range(40) for k in rng.choice(40, 3, replace=False) if k != n
    ]
    graph = write_graph(tmp_path, entities, [Relation("r", "r")], {"train": edges})
    facts = Facts.of(graph, ["train"])
    fit = pagerank(RankingSources(graph, facts, TripleTokenizer(graph, tokenizer, True)))
    met = np.array([3, 7, 3, 11])  # e3 twice: it counts once
    owners, triples = facts.first(met, 256)
    mentions = MentionSpans(np.zeros(4, np.int64), np.arange(4), np.arange(4) + 1)
    found = fit(RankingContext(np.zeros((1, 4), np.int64), np.array([4]), mentions, met, owners, triples))
    near = Neighbourhood(facts.triples, len(graph), 1)
    for owner, triple, score in zip(owners, triples, found, strict=True):
        others = np.zeros(len(graph))
        others[[e for e in (3, 7, 11) if e != met[owner]]] = 1.0
        exact = 2 * near.pagerank(others)[facts.triples[triple, 2]]
        assert score == pytest.approx(exact, abs=0.03)


def test_similar_counts_rare_words_shared_with_the_sentence(graph: Graph, tokenizer: Tokenizer) -> None:
    asia = row(tokenizer, "Beijing Asia", Beijing="beijing")
    assert inject(graph, tokenizer, asia, choice="similar", max_branches=1).startswith(
        "[CLS] beijing lies in asia"
    )
    common = row(tokenizer, "Beijing is a visits", Beijing="beijing")
    assert inject(graph, tokenizer, common, choice="similar", max_branches=1).startswith(
        "[CLS] beijing is a city"
    )


def test_plausible_scores_are_vector_distances(graph: Graph, tokenizer: Tokenizer, tmp_path: Path) -> None:
    vectors = np.zeros((len(graph), 2), np.float32)
    vectors[graph.row("asia")] = 1.0
    ids = [relation.id for relation in graph.relations]
    save_vectors(tmp_path, graph.ids, vectors, np.array([[2, 0], [1, 1], [0, 3]], np.float32), ids)
    one = row(tokenizer, "Beijing", Beijing="beijing")
    injector = Injector(graph, tokenizer, KBert(choice="plausible"), vectors=tmp_path)
    assert words(tokenizer, plant(injector, [one])) == "[CLS] beijing lies in asia lies in china [SEP]"
    chosen = injector.choose(
        one.tokens[None], np.array([3]), MentionSpans(*np.array([[0], [1], [2]])), np.array([2])
    )
    assert chosen.scores == pytest.approx([0.0, -np.sqrt(2)])
    with pytest.raises(ValueError, match=r"inputs: \{vectors: embed\}"):
        Injector(graph, tokenizer, KBert(choice="plausible"))


@pytest.mark.parametrize("choice", [name for name in CHOICES if name != "plausible"])
def test_injected_row_does_not_depend_on_its_batch(graph: Graph, tokenizer: Tokenizer, choice: Any) -> None:
    rows = [both(tokenizer), row(tokenizer, "China", China="china"), row(tokenizer, "the city")]
    injector = Injector(graph, tokenizer, KBert(choice=choice))
    together = plant(injector, rows)
    for number, one in enumerate(rows):
        alone = plant(Injector(graph, tokenizer, KBert(choice=choice)), [one])
        size = int(alone.lengths[0])
        assert alone.tokens[0].tolist() == together.tokens[number, :size].tolist()


def test_injector_handles_empty_batches_and_unknown_entities(graph: Graph, tokenizer: Tokenizer) -> None:
    injector = Injector(graph, tokenizer, KBert())
    none = np.zeros(0, np.int64)
    empty = injector.build_rows(np.zeros((0, 0), np.int64), none, MentionSpans(none, none, none), none)
    assert empty.tokens.shape == (0, 0)
    assert words(tokenizer, plant(injector, [row(tokenizer)])) == "[CLS] tim cook visits beijing . [SEP]"
    stranger = row(tokenizer, **{"Tim Cook": "nobody", "Beijing": "city"})
    assert words(tokenizer, plant(injector, [stranger])) == "[CLS] tim cook visits beijing . [SEP]"


def test_descriptors_follow_the_ablation_settings(graph: Graph, tokenizer: Tokenizer) -> None:
    def told(**settings: bool) -> set[str]:
        injector = Injector(graph, tokenizer, KBert(**settings))
        found = injector.descriptors(plant(injector, [both(tokenizer)]))
        return {name for name, values in found.items() if values is not None}

    assert told() == {"positions", "branch", "mention"}
    assert told(visible_matrix=False) == {"positions"}
    assert told(soft_positions=False) == {"branch", "mention"}


def test_injected_pretraining_rows_keep_their_columns(graph: Graph, tokenizer: Tokenizer) -> None:
    """Entities in units of three tokens; every second one is known."""
    plain = pretraining_rows(count=5, length=20)
    unit = plain.units["entity"]
    entities = np.where((unit >= 0) & (unit % 2 == 0), unit // 2, -1)
    plain = pretraining_rows(count=5, length=20, entities=entities, entity_ids=["beijing", "nobody", "cook"])
    injector = Injector(graph, tokenizer, KBert())
    there, mentions = plain.documents > 0, plain.mentions()
    graph_rows = np.array([injector.chooser.row(id) for id in mentions.ids])
    injected = injector.build_rows(plain.tokens, there.sum(1), mentions, graph_rows[mentions.entities])
    for name in ("tokens", "segments", "documents", "entities"):
        moved = injected.tokens if name == "tokens" else injected.spread(getattr(plain, name), -1)
        assert moved[injected.sentence].tolist() == getattr(plain, name)[there].tolist(), name
    branches = injected.branch > 0
    assert branches.sum() > 20
    assert (injected.spread(plain.documents)[branches] == 1).all()
    assert set(injected.spread(plain.entities)[branches]) == {0, 2}, "those of beijing and cook"
    assert injected.positions[injected.sentence].tolist() == np.nonzero(there)[1].tolist()
    assert (injected.spread(plain.documents)[injected.owner < 0] == 0).all()


def test_dictionary_finds_the_longest_names(graph: Graph) -> None:
    found = Dictionary(graph).find("Tim Cook and cook saw the Great Wall of China, Peking, Asia")
    assert [mention.entity for mention in found] == ["cook", "great wall", "beijing"], "Asia has no triples"
    assert [(mention.start, mention.end) for mention in found] == [(0, 8), (26, 45), (47, 53)]


def test_dictionary_skips_function_words(tmp_path: Path) -> None:
    entities = [Entity("india", "India", ("in", "IN")), Entity("x", "x")]
    graph = write_graph(tmp_path, entities, [Relation("r", "r")], {"train": [Triple("india", "r", "x")]})
    found = Dictionary(graph).find("in India, IN")
    assert [(mention.start, mention.end) for mention in found] == [(3, 8), (10, 12)]


def chinese(folder: Path) -> Graph:
    names = ["北京", "北京大学", "大学", "学生", "中国", "学校", "人"]
    entities = [Entity(name, name) for name in names]
    facts = [("北京", "中国"), ("大学", "学校"), ("学生", "人")]
    return write_graph(
        folder, entities, [Relation("r", "是")], {"train": [Triple(h, "r", t) for h, t in facts]}
    )


def test_chinese_names_with_and_without_word_segmentation(tmp_path: Path) -> None:
    graph = chinese(tmp_path)
    assert [m.entity for m in Dictionary(graph).find("北京大学生")] == ["北京", "大学"]
    assert [m.entity for m in Dictionary(graph, words=True).find("北京大学生活")] == []
    assert [m.entity for m in Dictionary(graph, words=True).find("学生在北京")] == ["学生", "北京"]


@pytest.mark.parametrize(
    ("starts", "ends", "expected"),
    [
        ([0, 4, 9], [3, 8, 11], [(2, 3, "x")]),
        ([0, 3, 8], [3, 8, 11], [(2, 3, "x")]),  # byte-level: the blank belongs to the token
        ([0, 4, 5, 9], [3, 5, 8, 11], [(2, 4, "x")]),
        ([0, 4], [3, 11], []),  # the token extends beyond the mention
    ],
)
def test_mentions_are_converted_to_tokens(starts: list[int], ends: list[int], expected: list[Any]) -> None:
    mentions = [Mention(4, 8, "x"), Mention(4, 8, "y")]
    assert to_tokens("the cook is", mentions, np.array(starts), np.array(ends), offset=1) == expected
