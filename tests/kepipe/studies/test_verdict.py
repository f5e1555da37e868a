"""A verdict in words: a gain counts only against the reference and every control."""

from __future__ import annotations

import pytest

from kepipe.knowledge.table import CONTROLS
from kepipe.studies.design import NAMES_ONLY, Measure
from kepipe.studies.findings import as_json, find, helped
from kepipe.studies.verdict import answer, explain, headline
from tests.support.studies import F1, HIGH, LOSS, LOW, MIDDLE, OFF, ON, WRONG, design_of, study


@pytest.mark.parametrize(
    ("on", "off", "wrong", "message"),
    [
        (HIGH, LOW, MIDDLE, "A gain is shown: graph-on does better than graph-off and graph-shuffled"),
        (HIGH, LOW, (0.66, 0.61, 0.625), "No gain from the knowledge shown: graph-on does better than graph-off"),
        (LOW, HIGH, LOW, "No gain shown: graph-on does worse than graph-off"),
        (HIGH, HIGH, HIGH, "No gain shown: graph-on and graph-off and graph-shuffled have the same"),
        ((0.7, 0.5, 0.6), LOW, MIDDLE, "No gain shown: whether graph-on does better than graph-off"),
        ((0.7,), (0.5,), (0.5,), "No gain shown: whether graph-on does better"),
    ],
)  # fmt: skip
def test_the_answer_in_words(
    on: tuple[float, ...], off: tuple[float, ...], wrong: tuple[float, ...], message: str
) -> None:
    design, finding = study(graph_on=on, graph_off=off, graph_shuffled=wrong)
    assert answer(design, finding, [finding]).startswith(message)
    assert helped(design, finding, ON) == message.startswith("A gain")


def test_where_every_arm_has_nothing_the_knowledge_is_not_judged() -> None:
    nothing = (0.0, 0.0, 0.0)
    design, finding = study(graph_on=nothing, graph_off=nothing)
    assert answer(design, finding, [finding]).startswith(
        "Nothing was learned: every arm has finetune/test/micro_f1 0"
    )
    assert headline(design, [finding, finding]).startswith("Nothing was learned in any of 2 tasks")
    design, finding = study(graph_on=(0.0, 0.0, 0.01), graph_off=nothing)
    assert "othing was learned" not in answer(design, finding, [finding])
    design, finding = study(LOSS, graph_on=nothing, graph_off=nothing)  # a loss of 0 is the best there can be
    assert "othing was learned" not in answer(design, finding, [finding])


def test_where_names_alone_help_as_much_it_says_so() -> None:
    """Facts, true or shuffled, and names alone each gave as much: it is the names."""
    assert NAMES_ONLY in CONTROLS
    design, finding = study(graph_on=HIGH, graph_off=LOW, names_only=(0.66, 0.61, 0.625))
    assert answer(design, finding, [finding]).endswith(
        "The control names-only does better too: the names help, not the facts."
    )
    design, finding = study(graph_on=HIGH, graph_off=LOW, names_only=(0.5, 0.7, 0.6))
    assert "the names help" not in answer(design, finding, [finding])


def test_of_a_loss_lower_is_better() -> None:
    design, finding = study(LOSS, graph_on=LOW, graph_off=HIGH)
    assert finding.between(ON, OFF).answer == "gain"
    assert answer(design, finding, [finding]) == (
        "A gain is shown: graph-on does better than graph-off on pretrain/final_held_out_loss."
    )


def test_of_one_arm_nothing_is_compared() -> None:
    design, finding = study(graph_off=HIGH)
    assert finding.differences == ()
    assert answer(design, finding, [finding]) == (
        "Only one arm was measured on finetune/test/micro_f1: there is no comparison."
    )


def test_several_arms_without_a_control() -> None:
    values = {"plain": LOW, "long": HIGH, "short": LOW}
    design = design_of(values)
    finding = find(design, F1, values)
    assert answer(design, finding, [finding]).startswith("A gain is shown: long does better than plain")


@pytest.mark.parametrize(
    ("on", "message"),
    [
        ((HIGH, HIGH, HIGH), "A gain is shown in all 3 tasks: hotels, books and records."),
        ((MIDDLE, HIGH, MIDDLE), "A gain is shown in 1 of 3 tasks: books, not in hotels and records."),
        ((MIDDLE, MIDDLE, LOW), "No gain shown in any of 3 tasks: hotels, books and records."),
    ],
)
def test_several_tasks_are_told_in_one_sentence(on: tuple[tuple[float, ...], ...], message: str) -> None:
    tasks = ("hotels", "books", "records")
    measures = [
        Measure(stage=task, metric=metric, better="higher") for task in tasks for metric in ("f1", "accuracy")
    ]
    design = design_of({ON: HIGH, OFF: MIDDLE}, *measures, reference=OFF, controls=(OFF,), tasks=tasks)
    assert [measure.name for measure in design.deciding()] == ["hotels/f1", "books/f1", "records/f1"]
    deciding = [
        find(design, measure, {ON: found, OFF: MIDDLE})
        for measure, found in zip(design.deciding(), on, strict=True)
    ]
    assert headline(design, deciding) == message
    assert headline(design, deciding[:1]) == answer(design, deciding[0], deciding[:1])


def test_each_comparison_says_what_it_shows() -> None:
    _, finding = study(graph_on=(0.7, 0.5, 0.6), graph_off=LOW, graph_shuffled=(0.7, 0.5, 0.6))
    assert explain(finding.between(ON, OFF), True) == "not shown; 3 seeds cannot show a difference below 0.29"
    assert explain(finding.between(ON, WRONG), True) == "no difference with any seed"
    assert as_json(finding)["differences"]["graph-on − graph-off"]["shows"] == "open"
    _, single = study(graph_on=(0.7,), graph_off=(0.5,))
    assert explain(single.between(ON, OFF), True) == "one seed: no interval, not shown"
    _, told = study(graph_on=HIGH, graph_off=LOW, graph_shuffled=(0.71, 0.72, 0.70))
    assert explain(told.between(ON, OFF), True) == "gain shown"
    assert explain(told.between(ON, WRONG), True) == "loss shown"
    assert explain(told.between(ON, WRONG), False) == "loss without correction"
