import pytest

from kepipe.linking.evaluation.assess import Decision, Mistake
from kepipe.linking.evaluation.score import Counts, candidate_recall, count, summarise
from kepipe.linking.kb.links import NIL, UNKNOWN, Link
from tests.benchmarks.linking_kinds import ambiguous

GIVEN = [Link(0, 5, 1), Link(10, 15, 2), Link(20, 25, NIL), Link(30, 35, UNKNOWN)]


def test_linking_counts_by_hand() -> None:
    right, other_entity, over_nil = Link(0, 5, 1), Link(10, 15, 7), Link(21, 23, 3)
    over_unknown, containment_conflict = Link(30, 35, 4), Link(40, 45, 5)
    predicted = [right, other_entity, over_nil, over_unknown, containment_conflict]
    assert count(predicted, GIVEN) == Counts(predicted=3, given=2, right=1)
    assert count(predicted, GIVEN, complete=True) == Counts(predicted=4, given=2, right=1)


def test_an_overlapping_span_is_wrong() -> None:
    assert count([Link(0, 6, 1)], GIVEN) == Counts(1, 2, 0)


def test_micro_and_macro_scores_by_hand() -> None:
    scores = summarise([Counts(4, 2, 1), Counts(1, 1, 1), Counts(3, 0, 0)])
    assert (scores.precision, scores.recall) == (2 / 8, 2 / 3)
    assert scores.f1 == pytest.approx(2 * (1 / 4) * (2 / 3) / (1 / 4 + 2 / 3))
    assert scores.macro_precision == pytest.approx((1 / 4 + 1) / 2)
    assert summarise([]).f1 == 0.0


def test_candidate_recall_leaves_out_links_outside_the_graph() -> None:
    assert candidate_recall([Link(0, 5, 1), Link(0, 5, 3)], GIVEN) == (1, 2)


def test_ambiguous_mentions_are_gold_mentions_with_several_candidates() -> None:
    def decision(predicted: int, given: int, choices: int, mistake: Mistake | None) -> Decision:
        return Decision(0, 0, 1, predicted, given, choices, "", mistake)

    decisions = [
        decision(1, 1, 2, None),
        decision(3, 3, 1, None),  # one candidate
        decision(2, 1, 2, "wrong entity"), decision(-1, 1, 2, "left out"),  # one mention, wrongly linked
        decision(-1, 4, 3, "no candidate"),
        decision(5, -1, 2, "not marked"),
    ]  # fmt: skip
    assert ambiguous(decisions) == (3, 1)
