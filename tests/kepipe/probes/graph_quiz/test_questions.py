"""Questions of the graph quiz: selection, order, options."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from kepipe.probes.graph_quiz.questions import balanced, draw_questions
from kepipe.probes.graph_quiz.settings import GraphQuizSettings
from kg.schema import Entity, Relation, Triple
from kg.store import open_graph
from kg.writer import write_graph
from tests.support.graphs import named_graph


@given(
    facts=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 5)), max_size=60),
    number=st.integers(0, 60),
    seed=st.integers(0, 99),
)
def test_questions_are_balanced_over_relations_and_answers(
    facts: list[tuple[int, int]], number: int, seed: int
) -> None:
    """If one is drawn less often than another by more than 1, all its facts are used."""
    relations, answers = np.array(facts, np.int64).reshape(-1, 2).T
    order = balanced(relations, answers, np.random.default_rng(seed))
    assert sorted(order.tolist()) == list(range(len(facts)))
    drawn = [facts[fact] for fact in order[:number].tolist()]
    for key in (lambda fact: fact[0], *((lambda f, r=r: f if f[0] == r else None) for r in range(4))):
        have, got = (Counter(k for f in some if (k := key(f)) is not None) for some in (facts, drawn))
        most = max(got.values(), default=0)
        assert all(got[one] >= min(have[one], most - 1) for one in have)


def test_other_true_answers_of_any_split_are_no_options(tmp_path: Path) -> None:
    later = (Triple("a", "speaks", "y"), Triple("c", "speaks", "z"))
    graph = named_graph(tmp_path / "graph", held_out=later, speaks={"a": "x", "b": "y", "d": "z"})
    questions = draw_questions(graph, GraphQuizSettings(held_out=("test",)), np.random.default_rng(0))
    options = {
        (graph.ids[head], graph.ids[tail]): {graph.ids[row] for row in rows}
        for (head, _, tail), rows in zip(questions.facts.tolist(), questions.options, strict=True)
    }
    assert options["a", "x"] == {"x", "z"}, "y is true of a, as test says"
    assert options["a", "y"] == {"y", "z"}
    assert options["b", "y"] == options["d", "z"] == {"x", "y", "z"}
    truths = [rows[truth] for rows, truth in zip(questions.options, questions.truths, strict=True)]
    assert truths == questions.facts[:, 2].tolist()
    assert {graph.ids[h] for h, _, _ in questions.facts[~questions.stated].tolist()} == {"a", "c"}


def test_options_have_distinct_labels_and_the_requested_number(tmp_path: Path) -> None:
    entities = [Entity(f"p{n}", f"P{n}") for n in range(40)] + [
        Entity(f"o{n}", f"name {n % 20}") for n in range(40)
    ]
    facts = [Triple(f"p{n}", "r", f"o{n}") for n in range(40)]
    write_graph(tmp_path / "graph", [*entities, Entity("none", "")], [Relation("r", "r")], {"train": facts})
    questions = draw_questions(
        open_graph(tmp_path / "graph"), GraphQuizSettings(options=7), np.random.default_rng(1)
    )
    graph = open_graph(tmp_path / "graph")
    for options in questions.options:
        assert len({graph.labels[row] for row in options.tolist()}) == len(options) == 7
    everyone = draw_questions(graph, GraphQuizSettings(), np.random.default_rng(1))
    assert set(everyone.sizes) == {20}


def test_true_option_has_a_uniform_position(tmp_path: Path) -> None:
    """Of 10 options, over 2,000 draws, the position of the true one is uniform."""
    graph = named_graph(tmp_path / "graph", r={f"h{n}": f"t{n}" for n in range(50)})
    places = np.concatenate([
        draw_questions(graph, GraphQuizSettings(options=10), np.random.default_rng(seed)).truths for seed in range(40)
    ])  # fmt: skip
    counts = np.bincount(places, minlength=10)
    assert ((counts - 200) ** 2 / 200).sum() < 27.9, "χ² with 9 degrees of freedom, p = 0.001"
