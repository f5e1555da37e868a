"""The page of linking scores: baselines, and every mistake counted, explained and shown in its sentence."""

from __future__ import annotations

from typing import get_args

from kepipe.data.document import Document
from kepipe.linking.evaluation.assess import Assessment, Decision, Mistake
from kepipe.linking.evaluation.goldset import GoldText
from kepipe.linking.evaluation.score import Counts, summarise
from kepipe.linking.kb.links import Link
from kepipe.report.linking import _MISTAKES, score_page
from kepipe.report.page import Quotes, Table, Text, render

TEXT = (
    f"{'The long way there was long. ' * 5}He saw Omaha <there>, and left. {'Later he came back again. ' * 5}"
)
START = TEXT.index("Omaha")


def found(right: int, mistake: Mistake | None) -> Assessment:
    decision = Decision(0, START, START + 5, -1 if mistake else 0, 0, 2, "Q27096213", mistake)
    scores = summarise([Counts(2, 2, right)])
    return Assessment(scores, scores, scores, 1.0, (decision,))


def page(mistake: Mistake | None) -> tuple[str, ...]:
    gold = GoldText(Document("d", TEXT), 0, len(TEXT), (Link(START, START + 5, 0),), ("Q27096213",))
    made = score_page(
        {"set": {"linker": found(1, mistake), "weak": found(0, None), "good": found(2, None)}},
        {"set": [gold]},
        ["Omaha"],
    )
    assert made.facts[0].note == "F1; good: 1.000"
    assert "<there>" not in render(made)
    scores, told, kinds, *_ = made.sections[0].blocks
    assert isinstance(scores, Table)
    assert [row[0] for row in scores.rows] == ["linker", "weak", "good"]
    assert isinstance(told, Text)
    assert "macro: the mean over texts" in told.body
    assert isinstance(kinds, Table)
    assert kinds.rows[0][0] == "place"
    told_of = []
    for block in made.sections[1].blocks:
        if isinstance(block, Quotes):
            told_of += [str(passage) for _, passage, _ in block.items]
        elif isinstance(block, Table):
            told_of += [" ".join(row[:2]) for row in block.rows]
        else:
            assert isinstance(block, Text)
            told_of.append(block.body)
    return tuple(told_of)


def test_linking_mistakes_are_counted_with_an_example() -> None:
    count, passage = page("left out")
    assert count == "left out 1"
    assert passage.startswith("… way there was long. The long way")
    assert "<mark>Omaha</mark> &lt;there&gt;, and left." in passage
    assert passage.endswith("back again. Later he came back again. Later he came …")


def test_linking_page_without_mistakes() -> None:
    assert page(None) == ("None.",)


def test_every_kind_of_linking_mistake_is_explained() -> None:
    assert set(get_args(Mistake)) == _MISTAKES.keys()
