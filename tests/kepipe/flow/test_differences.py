"""Differences between two results: their settings, metrics and inputs, back to the first stage."""

from __future__ import annotations

import shutil

from kepipe.flow.differences import Difference, differences
from kepipe.flow.lineage import StageResult
from tests.support.flow import Bench, flow


def test_changed_setting_is_found_through_dependent_stages_and_listed_once(bench: Bench) -> None:
    first, _ = bench.run(flow(value=5))
    second, _ = bench.run(flow(value=7))
    one, other = (StageResult.open(made["add"].folder) for made in (first, second))
    found = list(differences(one, other, bench.workspace))
    assert Difference("settings", "write.value", 5, 7) in found
    assert [difference.where for difference in found if difference.kind == "settings"] == ["write.value"]
    assert list(differences(one, one, bench.workspace)) == []


def test_logged_metrics_of_two_results_are_compared(bench: Bench) -> None:
    first, _ = bench.run(flow(value=5))
    second, _ = bench.run(flow(value=7))
    found = differences(
        *(StageResult.open(made["write"].folder) for made in (first, second)), bench.workspace
    )
    assert Difference("figures", "write.value", 5.0, 7.0) in list(found)


def test_removed_input_is_shown_by_a_prefix_of_its_digest(bench: Bench) -> None:
    first, _ = bench.run(flow(value=5))
    second, _ = bench.run(flow(value=7))
    shutil.rmtree(first["write"].folder)
    one, other = (StageResult.open(made["double"].folder) for made in (first, second))
    (found,) = (each for each in differences(one, other, bench.workspace) if each.kind == "input")
    assert found == Difference(
        "input", "double.number", first["write"].digest[:12], second["write"].digest[:12]
    )
