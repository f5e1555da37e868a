import pytest

from kepipe.data.document import Mention
from kepipe.linking.evaluation.gold import Titles
from kepipe.linking.kb.links import NIL, UNKNOWN
from kepipe.linking.text.casing import Casing
from kg.lexicon import Lexicon
from kg.store import Graph


@pytest.fixture
def titles(graph: Graph) -> Titles:
    return Titles(graph, Lexicon.build(graph), Casing({"reading": 0.9}))


def resolve(titles: Titles, text: str, target: str, anchor: str) -> list[tuple[str, int]]:
    start = text.index(anchor)
    links = titles.resolve([Mention(start, start + len(anchor), target)], text)
    return [(text[link.start : link.end], link.row) for link in links]


def test_id_of_the_graph_resolves_to_its_entity(titles: Titles, graph: Graph) -> None:
    assert resolve(titles, "the town", "leeds", "town") == [("town", graph.row("leeds"))]


def test_a_qualified_title_resolves_to_the_described_candidate(titles: Titles, graph: Graph) -> None:
    nebraska, england = graph.row("lincoln-ne"), graph.row("lincoln-uk")
    assert resolve(titles, "in Lincoln.", "Lincoln, Nebraska", "Lincoln") == [("Lincoln", nebraska)]
    assert resolve(titles, "in Lincoln.", "Lincoln, Great Britain", "Lincoln") == [("Lincoln", england)]
    assert resolve(titles, "in Lincoln.", "Lincoln, Sicily", "Lincoln") == [("Lincoln", UNKNOWN)]
    assert resolve(titles, "New York", "New York (U.S. state)", "New York") == [("New York", graph.row("ny"))]


def test_the_qualifier_is_trimmed_from_the_mention(titles: Titles, graph: Graph) -> None:
    text = "born in Lincoln, Nebraska, in 1900"
    found = resolve(titles, text, "Lincoln, Nebraska", "Lincoln, Nebraska")
    assert found == [("Lincoln", graph.row("lincoln-ne"))]


def test_a_plain_title_needs_support_in_the_text(titles: Titles, graph: Graph) -> None:
    assert resolve(titles, "York, a city of the United Kingdom", "York", "York") == [
        ("York", graph.row("york"))
    ]
    assert resolve(titles, "York wrote plays", "York", "York") == [("York", NIL)]
    assert resolve(titles, "the United States", "United States", "United States")[0][1] == graph.row("us")


def test_a_common_word_resolves_to_nil(titles: Titles) -> None:
    assert resolve(titles, "Reading in the United Kingdom", "Reading", "Reading") == [("Reading", NIL)]


def test_a_prominent_name_inside_a_link_to_something_else_is_unknown(titles: Titles) -> None:
    text = "the President of the United States spoke"
    found = resolve(titles, text, "President of the United States", "President of the United States")
    assert found == [("President of the ", NIL), ("United States", UNKNOWN)]
