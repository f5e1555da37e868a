"""Short forms of names that a text gives in full elsewhere."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from kepipe.linking.linker import Linker
from kepipe.linking.text.annotations import Name
from kg.schema import Entity, Relation, Triple
from kg.store import Graph
from kg.writer import write_graph
from tests.support.linking import annotate

PEOPLE = [
    Entity("gerald", "Gerald Ford", (), "Gerald Ford was an American politician.", (), 9),
    Entity("betty", "Betty Ford", (), "Betty Ford was an American dancer, an activist.", (), 5),
    Entity("car", "Ford", (), "Ford is an American car company.", (), 40),
    Entity("bank", "World Savings Bank", (), "World Savings Bank is a bank.", (), 3),
    Entity("pitt", "Brad Pitt", (), "Brad Pitt is an American actor.", (), 9),
    Entity("bird", "Brad Bird", (), "Brad Bird is an American director.", (), 8),
    Entity("cowboys", "Dallas Cowboys", (), "The Dallas Cowboys are an American football team.", (), 9),
    Entity("leafs", "Toronto Maple Leafs", (), "The Toronto Maple Leafs are an ice hockey team.", (), 9),
    Entity("league", "League of Nations", (), "The League of Nations was an organization.", (), 4),
    Entity("records", "Delta Records", (), "Delta Records is a record label.", (), 4),
    Entity("club", "Fight Club", (), "Fight Club is a 1999 American film.", (), 9),
]


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> Graph:
    facts = [Triple("pitt", "in", "club"), Triple("gerald", "married", "betty")]
    relations = [Relation("in", "in"), Relation("married", "married")]
    return write_graph(tmp_path_factory.mktemp("people") / "graph", PEOPLE, relations, {"train": facts})


@pytest.fixture(scope="module")
def linker(graph: Graph) -> Linker:
    return Linker.build(graph)


def meant(linker: Linker, text: str) -> dict[tuple[int, str], str]:
    """By place and surface, the likeliest candidate of each name."""
    matches = linker.find(text, annotate(text))
    firsts = matches.rows[matches.bounds[:-1]].tolist()
    return {
        (start, text[start:end]): linker.knowledge.ids[row]
        for start, end, row in zip(matches.starts.tolist(), matches.ends.tolist(), firsts, strict=True)
    }


def test_a_last_name_is_resolved_before_and_after_the_full_name(linker: Linker) -> None:
    text = "Then Ford spoke. It was Gerald Ford; and Mr Ford left."
    found = meant(linker, text)
    assert found[text.index("Ford"), "Ford"] == found[text.index("Ford left"), "Ford"] == "gerald"


def test_the_nearest_preceding_full_name_ranks_first_and_the_other_stays_a_candidate(linker: Linker) -> None:
    text = "So Gerald Ford won. His wife Betty Ford smiled, and Ford danced."
    last = text.index("Ford danced")
    assert meant(linker, text)[last, "Ford"] == "betty"
    matches = linker.find(text, annotate(text))
    at = matches.starts.tolist().index(last)
    rows = matches.rows[matches.owners == at].tolist()
    assert {linker.knowledge.ids[row] for row in rows} == {"betty", "gerald", "car"}


def test_a_short_form_of_a_person_outside_the_graph_is_not_linked_to_a_namesake(linker: Linker) -> None:
    text = "So Harrison Ford came, and Ford left."
    matches = linker.find(text, annotate(text))
    at = matches.starts.tolist().index(text.index("Ford left"))
    assert not matches.outside[at]  # no NER: the run of capitals need not be a person
    names = [mention.entity for mention in linker.link(text, annotate(text))]
    assert "gerald" not in names


def test_initials_and_defined_abbreviations(linker: Linker) -> None:
    text = "The World Savings Bank (WSB) failed. WSB was small."
    assert meant(linker, text)[text.index("WSB was"), "WSB"] == "bank"


@pytest.mark.parametrize("short", ["Cowboys", "Dallas", "Leafs", "Maple Leafs", "Toronto"])
def test_a_team_is_also_named_by_its_city_or_nickname(linker: Linker, short: str) -> None:
    team = "cowboys" if short in "Dallas Cowboys" else "leafs"
    text = f"So the Dallas Cowboys met the Toronto Maple Leafs, and then the {short} left."
    assert meant(linker, text)[text.index(f"{short} left"), short] == team


def test_the_last_word_of_a_firm_is_no_nickname(linker: Linker) -> None:
    text = "He wrote to Delta Records, and then the Records left."
    assert (text.index("Records left"), "Records") not in meant(linker, text)
    assert meant(linker, text)[text.index("Delta"), "Delta Records"] == "records"


def test_what_follows_of_is_no_nickname(linker: Linker) -> None:
    text = "He wrote to the League of Nations, and then the Nations left."
    start = text.index("League")
    named = replace(annotate(text), names=(Name(start, start + len("League of Nations"), "ORG"),))
    matches = linker.find(text, named)
    assert [matches.surfaces[at] for at in range(len(matches))] == ["League of Nations"]


def test_a_bare_first_name_needs_a_graph_neighbour_in_the_text(linker: Linker) -> None:
    text = "In Fight Club we saw Brad once more."
    assert meant(linker, text)[text.index("Brad"), "Brad"] == "pitt"
    assert not any(surface == "Brad" for _, surface in meant(linker, "Then we saw Brad once more."))


@pytest.mark.parametrize("between", ["\n\n", "\n \n\n"])
def test_parts_of_a_name_split_by_an_empty_line_are_not_matched(linker: Linker, between: str) -> None:
    assert not any(
        surface in {"Brad", "Pitt"} for _, surface in meant(linker, f"In Fight Club Brad{between}Pitt")
    )
    other = f"In Fight Club\n\nPitt{between}spoke."
    assert meant(linker, other)[other.index("Pitt"), "Pitt"] == "pitt"


def test_name_parts_are_saved_with_the_linker(linker: Linker, tmp_path: Path) -> None:
    linker.save(tmp_path)
    opened = Linker.open(tmp_path)
    assert list(opened.knowledge.name_parts.words) == ["Betty", "Bird", "Brad", "Ford", "Gerald", "Pitt"]
    text = "In Fight Club we saw Brad once more."
    assert meant(opened, text) == meant(linker, text)
