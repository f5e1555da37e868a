from pathlib import Path

import numpy as np
import pytest

from kepipe.data.document import Span
from kepipe.linking.casing import Casing
from kepipe.linking.linker import Linker
from kepipe.linking.policy import Policy
from kepipe.linking.reading import Name, Reading
from kg.store import Graph
from tests.support.linking import feature, read


@pytest.fixture(scope="module")
def linker(graph: Graph) -> Linker:
    return Linker.build(graph, Casing({"reading": 0.9}))


def linked(linker: Linker, text: str, reading: Reading | None = None) -> list[tuple[str, str]]:
    mentions = linker.link(text, reading or read(text))
    return [(text[mention.start : mention.end], mention.entity) for mention in mentions]


def test_what_stands_beside_a_name_disambiguates_it(linker: Linker) -> None:
    assert ("Lincoln", "lincoln-ne") in linked(linker, "He lives in Lincoln, Nebraska.")
    text = "Lincoln (United Kingdom) is near Leeds and York."
    assert feature(linker, text, "lincoln-uk", "beside") == 1.0
    assert feature(linker, text, "lincoln-ne", "beside") == 0.0
    assert ("Lincoln", "lincoln-uk") in linked(linker, text)


def test_related_and_kindred_by_hand(linker: Linker) -> None:
    # Both vote with prior 1; Omaha's only neighbour is Nebraska, Nebraska's are us, omaha, lincoln-ne.
    text = "Omaha and Nebraska"
    assert feature(linker, text, "omaha", "related") == pytest.approx(np.log1p(1.0))
    assert feature(linker, text, "omaha", "kindred") == 0.0
    # York and Leeds share uk, which has five neighbours.
    text = "York and Leeds"
    assert feature(linker, text, "york", "related") == 0.0
    uk_degree = 4
    assert feature(linker, text, "york", "kindred") == pytest.approx(np.log1p(1 / np.sqrt(uk_degree)))


def test_context_counts_an_entitys_words_but_not_the_mentions_own(linker: Linker) -> None:
    far = "word " * 80
    text = f"York has old walls. {far} Yorkshire"
    assert feature(linker, text, "york", "near") == 0.0
    assert feature(linker, text, "york", "anywhere") > 0.0
    assert feature(linker, "York in Yorkshire", "york", "near") == feature(
        linker, "York in Yorkshire", "york", "anywhere"
    )


def test_names_of_other_things_are_seen(linker: Linker) -> None:
    text = "Abraham Lincoln spoke in Omaha."
    reading = Reading(
        (Span(0, len(text)),), (), (Span(0, 15), Span(25, 30)), (Name(0, 15, "PERSON"), Name(25, 30, "GPE"))
    )
    assert feature(linker, text, "lincoln-ne", "name_inside", reading) == 1.0
    assert feature(linker, text, "lincoln-ne", "proper_left", reading) == 1.0
    assert feature(linker, text, "lincoln-ne", "name_person", reading) == 1.0
    assert feature(linker, text, "omaha", "name_same", reading) == 1.0
    assert linked(linker, text, reading) == [("Omaha", "omaha")]


def test_common_words_are_left_alone(linker: Linker) -> None:
    assert linked(linker, "Reading is fun.") == []
    assert linked(linker, "The longest name wins: New York City.") == [("New York City", "nyc")]


def test_a_saved_linker_links_alike_and_holds_no_pickle(linker: Linker, tmp_path: Path) -> None:
    text = "From Lincoln, Nebraska, to New York City and 東京."
    linker.save(tmp_path)
    assert Linker.open(tmp_path).link(text, read(text)) == linker.link(text, read(text))
    assert {file.suffix for file in tmp_path.rglob("*") if file.is_file()} <= {".json", ".npy", ".utf8"}


def test_a_folder_without_a_linker_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="holds no linker"):
        Linker.open(tmp_path)


def test_casing_counts() -> None:
    casing = Casing.count(["we read reading lists. Then Reading is reading", "Leeds"])
    assert casing.common("Reading") == pytest.approx(2 / (2 + 1 + 1))
    assert casing.common("Leeds") == casing.common("Reading Leeds") == 0.0


def test_a_capital_at_the_beginning_of_a_sentence_is_not_counted() -> None:
    """It would make every word that often begins one look like a name."""
    casing = Casing.count(['It saw it! "It is it?" (It was it.)\nIt', "It. École. We met It and it"])
    assert casing.common("It") == pytest.approx(4 / (4 + 1 + 1))


def test_not_all_descriptions_of_a_large_graph_are_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kepipe.linking.casing.MOST_DESCRIPTIONS", 1)
    casing = Casing.count_with(["a town, a town", "a lake, a lake"], ["we row, we row"])
    assert casing.common("Town") > 0
    assert casing.common("Row") > 0
    assert casing.common("Lake") == 0


def test_the_gate_lets_only_named_entities_through(graph: Graph) -> None:
    text = "Omaha and Leeds are far apart."
    reading = Reading((Span(0, len(text)),), (), names=(Name(0, 5, "GPE"), Name(6, 15, "GPE")))
    linker = Linker.build(graph)

    def linked(gate: bool) -> list[str]:
        return [
            mention.entity for mention in linker.link(text, reading, policy=Policy(threshold=0.1, gate=gate))
        ]

    assert linked(gate=False) == ["omaha", "leeds"]
    assert linked(gate=True) == ["omaha"]


def test_fuzzy_links_what_is_written_almost_like_a_name(linker: Linker) -> None:
    text = "They left Omaha for Nebrasca, Linkoln and Atlantis."

    def linked(fuzzy: float | None) -> dict[str, tuple[str, float]]:
        mentions = linker.link(text, read(text), policy=Policy(threshold=0.2, fuzzy=fuzzy))
        assert list(mentions) == sorted(mentions, key=lambda mention: mention.start)
        return {text[each.start : each.end]: (each.entity, each.score) for each in mentions}

    assert set(linked(None)) == {"Omaha"}
    found = linked(85)
    assert set(found) == {"Omaha", "Nebrasca", "Linkoln"}
    # Of eight letters one differs; of the two Lincolns one is likelier.
    assert found["Nebrasca"] == ("ne", pytest.approx(0.875))
    entity, score = found["Linkoln"]
    assert entity == "lincoln-ne"
    assert score < 0.857
    assert set(linked(90)) == {"Omaha"}


def test_a_name_that_begins_amid_another_is_seen_though_it_ends_elsewhere(linker: Linker) -> None:
    text = "At West New York"
    reading = Reading((), (), proper=(Span(3, 11),))  # "West New"
    sides = [feature(linker, text, "ny", f"proper{side}", reading) for side in ("", "_left", "_right")]
    assert sides == [0.0, 1.0, 0.0]
