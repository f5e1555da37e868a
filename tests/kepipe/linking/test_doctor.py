import pytest

from kepipe.linking.doctor import _around, examine
from kepipe.linking.fuzzy import nearest_name
from kepipe.linking.linker import Linker
from kepipe.linking.reading import Name, Reading, RuleReader
from kepipe.report.linking import doctor_page
from kepipe.report.page import render
from kepipe.types import Document
from kg.store import Graph


@pytest.fixture(scope="module")
def linker(graph: Graph) -> Linker:
    return Linker.build(graph)


def test_reasons_and_suggestions(linker: Linker, graph: Graph) -> None:
    text = "They met in Omaha, then in Nebrasca, and saw Atlantis."
    documents = [Document("d", text)]
    found = examine(linker, zip(documents, RuleReader().read([text]), strict=True))
    why = {each.surface: each.reason for each in found.unlinked}
    assert why["Nebrasca"] == "no alias"
    assert why["Atlantis"] == "no alias"
    assert found.suggestions[0].surface == "Nebrasca"
    assert found.suggestions[0].entity == "ne"
    assert found.linked <= found.spans
    assert "Nebrasca" in render(doctor_page(found))


def test_the_nearest_name(linker: Linker, graph: Graph) -> None:
    near = nearest_name(linker.gazetteer.lexicon, "Nebrasca")
    assert near is not None
    assert (near.name, graph.ids[near.row]) == ("Nebraska", "ne")
    assert nearest_name(linker.gazetteer.lexicon, "Atlantis") is None
    assert nearest_name(linker.gazetteer.lexicon, "Yrk") is None


def test_last_names_of_persons_named_in_full(linker: Linker, graph: Graph) -> None:
    """As if New York City were a person: NER decides, not the graph."""
    text = "New York City spoke. City left. Mary City came. City again."
    spans = [(0, 13), (21, 25), (32, 41), (48, 52)]
    names = tuple(Name(start, end, "PERSON") for start, end in spans)
    found = linker.find(text, Reading((), (), names=names))
    short = [
        (int(found.starts[owner]), graph.ids[row])
        for owner, row, is_short in zip(found.owners, found.rows.tolist(), found.short, strict=True)
        if is_short
    ]
    assert short == [(21, "nyc")]
    assert len(linker.find(text, Reading((), ()))) == len(linker.gazetteer.find(text))


def test_an_example_is_cut_between_words() -> None:
    text = "One two three four Nebrasca five six seven"
    start = text.index("Nebrasca")
    end = start + len("Nebrasca")
    assert _around(text, start, end, width=8) == "… four [Nebrasca] five …"
    assert _around(text, start, end, width=80) == text.replace("Nebrasca", "[Nebrasca]")
    assert _around("它位于柏林的中心，在河边", 3, 5, width=2) == "… 位于[柏林]的中 …"
