"""Resolution of he and she."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from kepipe.linking.decision.marks import Marks
from kepipe.linking.decision.policy import Policy
from kepipe.linking.decision.pronouns import resolve_pronouns
from kepipe.linking.evaluation.explain import explain
from kepipe.linking.evaluation.goldset import EntityIds, marks_pronouns, read_gold
from kepipe.linking.kb.genders import FEMALE, MALE, UNKNOWN, gender_of, genders
from kepipe.linking.kb.kinds import KINDS
from kepipe.linking.kb.links import LinkedSpan
from kepipe.linking.linker import Linker
from kepipe.linking.text.annotations import Annotations, Name
from kg.schema import Entity, Relation, Triple
from kg.store import Graph
from kg.writer import write_graph

PLACE, PERSON = KINDS.index("place"), KINDS.index("person")
MARIE, PIERRE, PARIS, NOBODY_KNOWS = range(4)
KIND = np.asarray([PERSON, PERSON, PLACE, 0])
GENDER = np.asarray([FEMALE, MALE, UNKNOWN, UNKNOWN], np.int8)


def resolve(text: str, linked: dict[str, int], unlinked: tuple[str, ...] = ()) -> list[tuple[str, int, str]]:
    """Pronoun, row of its entity, and its antecedent."""
    spans = {name: (text.index(name), text.index(name) + len(name)) for name in (*linked, *unlinked)}
    names = tuple(sorted(Name(*spans[name], "PERSON") for name in spans))
    found = sorted(LinkedSpan(*spans[name], row, 0.9) for name, row in linked.items())
    return [
        (text[each.start : each.end], each.row, text[name.start : name.end])
        for each, name in resolve_pronouns(text, Annotations((), (), names=names), found, KIND, GENDER)
    ]


def test_the_antecedent_is_the_nearest_preceding_person_of_matching_gender() -> None:
    text = "Marie met Pierre in Paris, where she taught him. His work and hers won."
    assert resolve(text, {"Marie": MARIE, "Pierre": PIERRE, "Paris": PARIS}) == [
        ("she", MARIE, "Marie"),
        ("him", PIERRE, "Pierre"),
        ("His", PIERRE, "Pierre"),
        ("hers", MARIE, "Marie"),
    ]


def test_a_nearer_person_outside_the_graph_blocks_the_link() -> None:
    assert resolve("Pierre met Jean when he was young.", {"Pierre": PIERRE}, ("Jean",)) == []
    assert resolve("He met Pierre, whose theory this is.", {"Pierre": PIERRE}) == []


def test_an_entity_of_unknown_kind_is_a_person_if_ner_labels_it_so() -> None:
    assert resolve("Jo said she would.", {"Jo": NOBODY_KNOWS}) == [("she", NOBODY_KNOWS, "Jo")]
    # NER takes every name here for a person; the graph knows better.
    assert resolve("Paris said she would.", {"Paris": PARIS}) == []


def test_a_pronoun_linked_as_a_name_is_skipped_and_none_is_resolved_without_ner() -> None:
    assert resolve("Marie saw Her.", {"Marie": MARIE, "Her": PARIS}) == []
    found = [LinkedSpan(0, 5, MARIE, 0.9)]
    assert resolve_pronouns("Marie said she would.", Annotations((), ()), found, KIND, GENDER) == []


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> Graph:
    entities = [
        Entity("beckett", "Samuel Beckett", (), "Samuel Beckett was an Irish novelist.", (), 9.0),
        Entity(
            "morrison", "Toni Morrison", (), "Toni Morrison was a novelist. Her books sold well.", (), 9.0
        ),
        Entity("film", "Jane", (), "Jane is a film about a woman and her dog.", (), 1.0),
        Entity("m", "male organism"),
        Entity("f", "female"),
        Entity("illness", "Gout", (), "Gout is an illness.", (), 1.0),
        Entity("helium", "helium", ("he",), "", (), 0.0),
        Entity("age", "age", (), "", (), 1.0),
    ]
    facts = [
        Triple("beckett", "gender", "m"),
        Triple("illness", "risk", "m"),  # a risk is no gender, though this one is called so
        Triple("illness", "risk", "age"),
    ]
    folder: Path = tmp_path_factory.mktemp("people")
    return write_graph(
        folder, entities, [Relation("gender", "gender"), Relation("risk", "risk")], {"train": facts}
    )


def test_genders_come_from_relations_then_from_descriptions(graph: Graph) -> None:
    kinds = np.asarray([PERSON, PERSON, KINDS.index("work"), 0, 0, 0, 0, 0])
    told = dict(zip(graph.ids, genders(graph, kinds).tolist(), strict=True))
    assert told == {"beckett": MALE, "morrison": FEMALE} | dict.fromkeys(
        ("film", "m", "f", "illness", "helium", "age"), UNKNOWN
    )
    assert gender_of("She and he and Her.") == FEMALE
    assert gender_of("He and she.") == UNKNOWN


def test_pronouns_are_linked_and_explained_on_request_or_as_learned(graph: Graph, tmp_path: Path) -> None:
    text = "Samuel Beckett wrote plays; he lived in France."
    annotation = Annotations((), (), names=(Name(0, 14, "PERSON"),))
    linker = Linker.build(graph)

    def linked(linker: Linker, policy: Policy) -> list[str]:
        return [text[mention.start : mention.end] for mention in linker.link(text, annotation, policy=policy)]

    assert linked(linker, Policy()) == ["Samuel Beckett"]
    assert linked(linker, Policy(pronouns=True)) == ["Samuel Beckett", "he"]
    linker.with_ranker(linker.ranker, Marks(pronouns=True)).save(tmp_path)
    learned = Linker.open(tmp_path)
    assert linked(learned, Policy()) == ["Samuel Beckett", "he"]
    assert linked(learned, Policy(pronouns=False)) == ["Samuel Beckett"]
    name, helium, pronoun = explain(learned, text, annotation)
    assert (helium.surface, helium.outcome, helium.choices[0].entity) == (
        "he",
        "below the threshold",
        "helium",
    )
    assert (name.outcome, name.note) == ("linked", "")
    assert (pronoun.surface, pronoun.outcome) == ("he", "linked")
    assert pronoun.note == "stands for Samuel Beckett at 0–14"
    assert pronoun.choices[0].score == name.choices[0].score


@pytest.mark.parametrize(("marked", "expected"), [(("he", "his"), True), (("his",), False), ((), False)])
def test_gold_set_with_marked_pronouns_is_detected(
    tmp_path: Path, marked: tuple[str, ...], expected: bool
) -> None:
    text = "Beckett said he knew his play."
    mentions = [
        {"start": text.index(f" {name} ") + 1, "end": text.index(f" {name} ") + 1 + len(name), "entity": "x"}
        for name in marked
    ]
    file = tmp_path / "gold.jsonl"
    file.write_text(json.dumps({"id": "1", "text": text, "mentions": mentions}))
    assert marks_pronouns(read_gold(file, EntityIds({}, {}))) is expected
