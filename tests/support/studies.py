"""Finished results of a study: sealed folders with the provenance, metrics and scores of stages."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kepipe.flow.artifact import RECORD, Artifact, seal
from kepipe.studies.design import NAMES_ONLY, Copy, Design, Measure
from kepipe.studies.findings import Finding, find
from kepipe.studies.intervals import Estimate
from kepipe.studies.scores import Scores, write_scores

Values = Mapping[str, Sequence[float]]
F1 = Measure(stage="finetune", metric="test/micro_f1", better="higher")


ON, OFF, WRONG = "graph-on", "graph-off", "graph-shuffled"
LOSS = Measure(stage="pretrain", metric="final_held_out_loss", better="lower")
HIGH, MIDDLE, LOW = (0.62, 0.64, 0.63), (0.58, 0.60, 0.595), (0.50, 0.53, 0.51)


def design_of(values: Values, *measures: Measure, **settings: Any) -> Design:
    """Arms with a value for each seed, as a design whose nodes are `stage.arm.seed` of the measured stages."""
    measures = measures or (F1,)
    copies = tuple(
        Copy(arm=arm, seed=seed, nodes={m.stage: f"{m.stage}.{arm}.{seed}" for m in measures})
        for arm, series in values.items()
        for seed in range(len(series))
    )
    defaults = {"reference": next(iter(values)), "controls": (), "measures": measures}
    return Design(copies=copies, **{**defaults, **settings})


def study(measure: Measure = F1, **values: tuple[float, ...]) -> tuple[Design, Finding]:
    """A design of arms named as in Python, `graph_on`, with the reference `graph-off`, and its finding."""
    by_arm: Values = {name.replace("_", "-"): series for name, series in values.items()}
    controls = tuple(arm for arm in by_arm if arm in (OFF, WRONG, NAMES_ONLY))
    design = design_of(by_arm, measure, reference=OFF, controls=controls)
    return design, find(design, measure, by_arm)


def result(folder: Path, name: str, seed: int, f1: float, **more: Any) -> Artifact:
    """A fine-tuned model's folder: the record of its training, its scores, and its metrics."""
    model_folder = folder / name
    (model_folder / RECORD).mkdir(parents=True)
    provenance = {"seed": seed, "steps": 60, "config": {"batch_tokens": 512, "length": 64}, **more}
    (model_folder / "kepipe.json").write_text(json.dumps(provenance))
    score = Estimate(f1, f1 - 0.1, f1 + 0.1, 50, 50)
    write_scores(model_folder / "scores.json", Scores({"model": {"test": {"micro_f1": score}}}))
    logged = [{"step": 30, "loss": 2.0}, {"step": 60, "loss": 1.5}, {"step": None, "accuracy": f1 / 2}]
    (model_folder / RECORD / "metrics.jsonl").write_text(
        "".join(json.dumps(entry) + "\n" for entry in logged)
    )
    run = {"pipeline": "wiki80", "started": 1.79e9, "seconds": 5.0}
    (model_folder / RECORD / "run.json").write_text(json.dumps(run))
    seal(model_folder, {"seed": seed, "sources": {"data": "d1"}}, "r1")
    return Artifact.open(model_folder, name)
