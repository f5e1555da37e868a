"""The stage `study` reports every task: in the terminal, in `study.json`, on the page."""

from __future__ import annotations

import json
from pathlib import Path

from kepipe.stages.study import STUDY
from kepipe.studies.design import Measure
from tests.support.studies import design_of, result
from tests.support.toy_training import EventRecorder, context_in

VALUES = {"graph-on": (0.61, 0.63, 0.62), "graph-off": (0.55, 0.58, 0.56)}
TASKS = {"hotels": VALUES, "books": VALUES | {"graph-on": (0.55, 0.58, 0.56)}}


def test_study_reports_every_task_and_a_verdict(tmp_path: Path) -> None:
    measures = [Measure(stage=task, metric="test/micro_f1", better="higher") for task in TASKS]
    design = design_of(VALUES, *measures, reference="graph-off", controls=("graph-off",), tasks=tuple(TASKS))
    results = tuple(
        result(tmp_path, f"{task}.{arm}.{seed}", seed, f1)
        for task, values in TASKS.items()
        for arm, found in values.items()
        for seed, f1 in enumerate(found)
    )
    recorder = EventRecorder()
    context = context_in(tmp_path, recorder)
    STUDY.run(STUDY.inputs(results), design, context)
    one, other, *answers, verdict = recorder.notes().splitlines()
    assert one.startswith("hotels, graph-on − graph-off: +0.0567 (95%: +0.0")
    assert other == "books, graph-on − graph-off: +0.0000, no difference with any seed"
    assert verdict == "A gain is shown in 1 of 2 tasks: hotels, not in books."
    record = json.loads((context.out / "study.json").read_text())
    assert record["verdict"] == verdict
    assert list(record["tasks"].values()) == answers
    assert answers[1] == (
        "No gain shown: graph-on and graph-off have the same books/test/micro_f1 with every seed."
    )
    assert verdict in (context.out / "report.html").read_text()
