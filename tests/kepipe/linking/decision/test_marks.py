"""Which spans count as mentions."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from kepipe.data.document import Document
from kepipe.linking.decision.marks import MARKS_BY_NAME, NAMES, Marks, MarksName
from kepipe.linking.decision.modifiers import include_modifiers
from kepipe.linking.decision.policy import Policy
from kepipe.linking.evaluation.diagnosis import diagnose
from kepipe.linking.evaluation.explain import explain
from kepipe.linking.evaluation.goldset import GoldText
from kepipe.linking.kb.links import Link, LinkedSpan
from kepipe.linking.linker import Linker
from kepipe.linking.training.training_data import training_data
from kg.schema import Entity, Relation, Triple
from kg.store import Graph
from kg.writer import write_graph
from tests.support.linking import annotate

THINGS = [
    Entity("nl", "Netherlands", ("the Netherlands",), "The Netherlands is a country.", (), 90),
    Entity("tor", "Toronto", ("Toronto, Ontario",), "Toronto is a city.", (), 50),
    Entity("oct", "October", (), "October is a month.", (), 50),
    Entity("ins", "insurance", (), "a means of protection", (), 50),
    Entity("act", "actor", (), "someone who acts", (), 50),
    *(
        Entity(f"p{number}", name, (), "a place", (), 50)
        for number, name in enumerate(("Oslo", "Bergen", "Lyon"))
    ),
    *(
        Entity(f"q{number}", name, (), "a place", (), 50)
        for number, name in enumerate(("Metz", "Graz", "Linz"))
    ),
]
TEXT = "In October an actor from the Netherlands sold Dutch insurance in Toronto, Ontario."


def stored(folder: Path, entities: list[Entity]) -> Graph:
    return write_graph(
        folder / "graph", entities, [Relation("in", "in")], {"train": [Triple("a", "in", "b")] * 0}
    )


@pytest.fixture(scope="module")
def linker(tmp_path_factory: pytest.TempPathFactory) -> Linker:
    return Linker.build(stored(tmp_path_factory.mktemp("things"), THINGS))


def linked(linker: Linker, text: str, policy: Policy) -> list[str]:
    mentions = linker.link(text, annotate(text), policy=replace(policy, threshold=0.01))
    return [text[mention.start : mention.end] for mention in mentions]


@pytest.mark.parametrize(
    ("manner", "expected"),
    [
        ("names", ["Netherlands", "Dutch", "Toronto, Ontario"]),
        ("wiki", ["actor", "Netherlands", "Dutch", "Toronto, Ontario"]),
        ("everything", ["October", "actor", "Netherlands", "Dutch", "insurance", "Toronto, Ontario"]),
    ],
)
def test_each_marks_setting_links_its_kinds(linker: Linker, manner: MarksName, expected: list[str]) -> None:
    assert linked(linker, TEXT, Policy(marks=MARKS_BY_NAME[manner])) == expected


@pytest.mark.parametrize(
    ("marks", "gone", "new"),
    [
        (Marks(nationalities=False), "Dutch", None),
        (Marks(joined=False), "Toronto, Ontario", "Toronto"),
        (Marks(articles=True), "Netherlands", "the Netherlands"),
        (Marks(roles=True), None, "actor"),
    ],
)
def test_each_marks_switch_adds_or_removes_its_mentions(
    linker: Linker, marks: Marks, gone: str | None, new: str | None
) -> None:
    before, after = (linked(linker, TEXT, Policy(marks=each)) for each in (NAMES, marks))
    assert set(before) - set(after) == ({gone} if gone else set())
    assert set(after) - set(before) == ({new} if new else set())


def test_marks_are_inferred_from_a_gold_set(linker: Linker) -> None:
    def gold(marked: list[str]) -> GoldText:
        document = Document("1", TEXT)
        links = sorted(Link(TEXT.index(name), TEXT.index(name) + len(name), 0) for name in marked)
        return GoldText(document, 0, len(TEXT), tuple(links), ("",) * len(links))

    for marked, expected in (
        (["the Netherlands", "actor"], Marks(False, True, False, articles=True, dates=False)),
        (["Netherlands", "Dutch", "October"], Marks(False, False, True, dates=True)),
    ):
        texts = [gold(marked)] * 6
        learned = training_data(linker, texts, [annotate(TEXT)] * 6).marks
        assert learned == expected


def test_a_terminology_is_linked_in_lower_case(tmp_path: Path) -> None:
    terms = ["renal cell carcinoma", "ovarian cancer", "breast cancer", "hereditary spherocytosis", "disease"]
    graph = stored(tmp_path, [Entity(name, name, (), "", (), 5) for name in terms])
    linker = Linker.build(graph)
    assert linker.knowledge.is_terminology
    text = "Sporadic renal cell carcinoma is a disease; breast and ovarian cancers are others."
    mentions = linker.link(text, annotate(text))
    assert [(text[each.start : each.end], each.entity) for each in mentions] == [
        ("Sporadic renal cell carcinoma", "renal cell carcinoma"),
        ("breast and ovarian cancers", "ovarian cancer"),
    ]
    span = LinkedSpan(text.index("renal"), text.index(" is"), 0, 1.0)
    assert include_modifiers(text, [span], linker.knowledge)[0].start == 0
    kept = linker.link(text, annotate(text), policy=Policy(marks=Marks(modifiers=False)))
    assert text[kept[0].start : kept[0].end] == "renal cell carcinoma"


def test_link_diagnosis_counts_terms(tmp_path: Path) -> None:
    terms = ["renal cell carcinoma", "ovarian cancer", "breast cancer", "disease"]
    linker = Linker.build(stored(tmp_path, [Entity(name, name, (), "", (), 5) for name in terms]))
    text = "Sporadic renal cell carcinoma and breast carcinoma, says Doctor Smith."
    found = diagnose(linker, [(Document("1", text), annotate(text))])
    assert (found.spans, found.linked) == (2, 1)
    assert [(each.surface, each.reason) for each in found.unlinked] == [("breast carcinoma", "no alias")]


def test_a_candidate_of_an_unmarked_kind_is_explained(linker: Linker) -> None:
    told = {each.surface: each.outcome for each in explain(linker, TEXT, annotate(TEXT))}
    assert told["insurance"] == told["October"] == told["actor"] == "not marked"
