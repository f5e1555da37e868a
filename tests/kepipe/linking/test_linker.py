import json
from pathlib import Path

import numpy as np
import pytest

from kepipe.data.document import Span
from kepipe.linking.decision.policy import Policy
from kepipe.linking.linker import Linker
from kepipe.linking.text.annotations import Annotations, Name
from kepipe.linking.text.casing import Casing
from kg.store import Graph
from tests.support.linking import annotate, feature


@pytest.fixture(scope="module")
def linker(graph: Graph) -> Linker:
    return Linker.build(graph, Casing({"reading": 0.9}))


def linked(linker: Linker, text: str, annotation: Annotations | None = None) -> list[tuple[str, str]]:
    mentions = linker.link(text, annotation or annotate(text))
    return [(text[mention.start : mention.end], mention.entity) for mention in mentions]


def test_a_neighbour_next_to_a_mention_disambiguates_it(linker: Linker) -> None:
    assert ("Lincoln", "lincoln-ne") in linked(linker, "He lives in Lincoln, Nebraska.")
    text = "Lincoln (United Kingdom) is near Leeds and York."
    assert feature(linker, text, "lincoln-uk", "beside") == 1.0
    assert feature(linker, text, "lincoln-ne", "beside") == 0.0
    assert ("Lincoln", "lincoln-uk") in linked(linker, text)


def test_related_and_kindred_match_values_computed_by_hand(linker: Linker) -> None:
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


def test_features_detect_names_of_other_things(linker: Linker) -> None:
    text = "Abraham Lincoln spoke in Omaha."
    annotation = Annotations(
        (Span(0, len(text)),), (), (Span(0, 15), Span(25, 30)), (Name(0, 15, "PERSON"), Name(25, 30, "GPE"))
    )
    assert feature(linker, text, "lincoln-ne", "name_inside", annotation) == 1.0
    assert feature(linker, text, "lincoln-ne", "proper_left", annotation) == 1.0
    assert feature(linker, text, "lincoln-ne", "name_person", annotation) == 1.0
    assert feature(linker, text, "omaha", "name_same", annotation) == 1.0
    assert linked(linker, text, annotation) == [("Omaha", "omaha")]


def test_common_words_are_not_linked(linker: Linker) -> None:
    assert linked(linker, "Reading is fun.") == []
    assert linked(linker, "The longest name wins: New York City.") == [("New York City", "nyc")]


def test_a_saved_linker_links_the_same_and_contains_no_pickle(linker: Linker, tmp_path: Path) -> None:
    text = "From Lincoln, Nebraska, to New York City and 東京."
    linker.save(tmp_path)
    assert Linker.open(tmp_path).link(text, annotate(text)) == linker.link(text, annotate(text))
    assert {file.suffix for file in tmp_path.rglob("*") if file.is_file()} <= {".json", ".npy", ".utf8"}


def test_a_folder_without_a_linker_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not a linker"):
        Linker.open(tmp_path)


@pytest.mark.parametrize("text", ["[1]", "{}", '{"format": 1}'])
def test_an_invalid_settings_file_raises_a_clear_error(linker: Linker, text: str, tmp_path: Path) -> None:
    linker.save(tmp_path)
    (tmp_path / "linker.json").write_text(text)
    with pytest.raises(ValueError, match=r"linker\.json: written by another version"):
        Linker.open(tmp_path)


@pytest.mark.parametrize(
    "missing", ["bias", "threshold", "affinity", "trained", "marks", "min_length", "limit"]
)
def test_a_setting_that_is_missing_is_named(linker: Linker, missing: str, tmp_path: Path) -> None:
    linker.save(tmp_path)
    about = json.loads((tmp_path / "linker.json").read_text())
    del about[missing]
    (tmp_path / "linker.json").write_text(json.dumps(about))
    with pytest.raises(ValueError, match=rf"linker\.json: damaged: no usable '{missing}'"):
        Linker.open(tmp_path)


def test_gate_links_only_named_entities(graph: Graph) -> None:
    text = "Omaha and Leeds are far apart."
    annotation = Annotations((Span(0, len(text)),), (), names=(Name(0, 5, "GPE"), Name(6, 15, "GPE")))
    linker = Linker.build(graph)

    def linked(gate: bool) -> list[str]:
        return [
            mention.entity
            for mention in linker.link(text, annotation, policy=Policy(threshold=0.1, gate=gate))
        ]

    assert linked(gate=False) == ["omaha", "leeds"]
    assert linked(gate=True) == ["omaha"]


def test_fuzzy_links_a_misspelt_name(linker: Linker) -> None:
    text = "They left Omaha for Nebrasca, Linkoln and Atlantis."

    def linked(fuzzy: float | None) -> dict[str, tuple[str, float]]:
        mentions = linker.link(text, annotate(text), policy=Policy(threshold=0.2, fuzzy=fuzzy))
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


def test_features_detect_a_name_overlapping_another(linker: Linker) -> None:
    text = "At West New York"
    annotation = Annotations((), (), proper=(Span(3, 11),))  # "West New"
    sides = [feature(linker, text, "ny", f"proper{side}", annotation) for side in ("", "_left", "_right")]
    assert sides == [0.0, 1.0, 0.0]
