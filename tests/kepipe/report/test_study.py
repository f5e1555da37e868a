"""A study's page: every arm with every seed, controls marked, nothing external, deterministic."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from kepipe.flow.artifact import Artifact
from kepipe.report.page import render
from kepipe.report.study import build
from kepipe.studies.compare import Comparison, compare
from kepipe.studies.design import Design, Measure
from kepipe.studies.findings import find
from tests.support.html import Structure
from tests.support.studies import F1, Values, design_of, result

VALUES: Values = {
    "graph-on": (0.612, 0.634, 0.621),
    "graph-off": (0.551, 0.579, 0.560),
    "graph-shuffled": (0.560, 0.561, 0.575),
}
LOSS = Measure(stage="finetune", metric="loss", better="lower")


def page_of(design: Design, folder: Path, values: Values = VALUES) -> str:
    results: dict[str, Artifact] = {
        f"finetune.{arm}.{seed}": result(folder, f"finetune.{arm}.{seed}", seed, f1)
        for arm, found in values.items()
        for seed, f1 in enumerate(found)
    }
    return render(build(design, compare(design, results), list(results.values())))


@pytest.fixture
def design() -> Design:
    changes = {"graph-off": {"pretrain.inputs.vectors": "none"}}
    controls = ("graph-off", "graph-shuffled")
    return design_of(VALUES, F1, LOSS, reference="graph-off", controls=controls, changes=changes)


def words(html: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", re.sub(r"<style>.*?</style>", "", html, flags=re.DOTALL)).split())


def test_study_page_starts_with_the_answer_and_shows_every_seed(design: Design, tmp_path: Path) -> None:
    html = page_of(design, tmp_path)
    output = words(html)
    assert "<h1>A gain is shown: graph-on does better than graph-off and graph-shuffled on finetune" in html
    assert (
        "The mean is 0.622 with graph-on, 0.563 with graph-off, a difference of +0.059 (95%: +0.0" in output
    )
    for value in ("0.612", "0.634", "0.621", "0.551", "0.575", "gain shown", "no difference with any seed"):
        assert value in output
    assert "pretrain.inputs.vectors: none" in output
    assert "wiki80, study" in output
    assert html.count("<svg") == 4


def test_study_page_marks_controls(design: Design, tmp_path: Path) -> None:
    html = page_of(design, tmp_path)
    assert html.count('var(--muted)"></span>graph-off <span class="interval">control') == 3
    assert "graph-shuffled (control)" in html
    assert 'var(--series-0)"></span>graph-on</td>' in html


def test_study_page_loads_nothing_external_and_nests(design: Design, tmp_path: Path) -> None:
    html = page_of(design, tmp_path / "a")
    structure = Structure()
    structure.feed(html)
    assert (structure.open, structure.wrong) == ([], [])
    assert len(structure.ids) == len(set(structure.ids))
    assert set(re.findall(r'<a href="#([^"]+)"', html)) <= set(structure.ids)
    assert not re.search(r'(src|href)="(?!#)', re.sub(r'xmlns(:\w+)?="[^"]*"', "", html))
    assert page_of(design, tmp_path / "b") == html


def test_study_page_does_not_depend_on_the_time_of_results(design: Design, tmp_path: Path) -> None:
    """A study that is killed and resumed the next day ends with the same bytes."""
    html = page_of(design, tmp_path / "a")
    results = []
    for arm, found in VALUES.items():
        for seed, f1 in enumerate(found):
            later = result(tmp_path / "b", f"finetune.{arm}.{seed}", seed, f1)
            run = later.folder / "record" / "run.json"
            run.write_text(
                json.dumps(json.loads(run.read_text()) | {"started": 1.85e9 + seed, "seconds": 7.0})
            )
            results.append(later)
    named = {later.name: later for later in results}
    assert render(build(design, compare(design, named), results)) == html


def test_study_page_of_several_tasks(tmp_path: Path) -> None:
    """The headline counts them, a line tells each, and a table has every arm on every task."""
    on_task = {
        "hotels": VALUES,
        "books": VALUES | {"graph-on": (0.561, 0.572, 0.563)},
        "records": VALUES | {"graph-on": (0.912, 0.923, 0.905)},
    }
    measures = [Measure(stage=task, metric="test/micro_f1", better="higher") for task in on_task]
    controls = ("graph-off", "graph-shuffled")
    design = design_of(
        VALUES, *measures, LOSS, reference="graph-off", controls=controls, tasks=tuple(on_task)
    )
    results = {
        f"{stage}.{arm}.{seed}": result(tmp_path, f"{stage}.{arm}.{seed}", seed, f1)
        for stage, values in (on_task | {"finetune": VALUES}).items()
        for arm, found in values.items()
        for seed, f1 in enumerate(found)
    }
    html = render(build(design, compare(design, results), list(results.values())))
    output = words(html)
    assert "<h1>A gain is shown in 2 of 3 tasks: hotels and records, not in books.</h1>" in html
    assert (
        "books No gain shown: whether graph-on does better than graph-off and graph-shuffled on books"
        in output
    )
    assert "graph-on 0.622 0.595 to 0.650 0.565 0.551 to 0.580 0.913 0.891 to 0.936" in output
    assert "records: graph-on − graph-off" in output
    assert [
        title in output for title in ("hotels/test/micro_f1, which decides", "finetune/loss, which decides")
    ] == [
        True,
        False,
    ]
    assert html.count("<svg") == 1 + 2 * 4
    assert "There are 3 tasks" in output


def test_study_of_one_seed_shows_no_gain(tmp_path: Path) -> None:
    values = {arm: found[:1] for arm, found in VALUES.items()}
    output = words(page_of(design_of(values, reference="graph-off"), tmp_path, values))
    assert "No gain shown" in output
    assert "one seed: no interval, not shown" in output


def test_halves_of_the_test_have_a_section(design: Design) -> None:
    halves = tuple(
        Measure(stage="finetune", metric=f"test/{half}/micro_f1", better="higher")
        for half in ("simple", "complex")
    )
    of_halves = design.model_copy(update={"measures": halves})
    found = Comparison({}, tuple(find(of_halves, measure, VALUES) for measure in halves))
    html = render(build(of_halves, found, []))
    assert "The easier and the harder half of the test" in html
    assert "By complexity: is an arm" in html
    assert "The easier and the harder half" not in render(
        build(of_halves.model_copy(update={"measures": halves[:1]}), Comparison({}, found.findings[:1]), [])
    )
