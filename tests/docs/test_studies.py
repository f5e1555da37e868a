"""The page about studies lists the metrics of stages."""

from __future__ import annotations

import re
from pathlib import Path

from kepipe.finetuning.table import TASKS
from kepipe.flow.stage import Planned
from kepipe.probes.table import PROBES, score_name
from kepipe.stages.pretrain import PRETRAIN

PAGE = (Path(__file__).parents[2] / "docs" / "studies.md").read_text(encoding="utf-8")


def listed(stage: str) -> set[str]:
    section = PAGE.split("## Names of figures\n")[1].split("\n## ")[0]
    (line,) = (line for line in section.splitlines() if line.startswith(f"| `{stage}`"))
    return set(re.findall(r"`([^`]+)`", line.split("|")[2]))


def shown(names: list[str]) -> set[str]:
    return {name.replace("*", "…") for name in names}


def test_every_metric_of_tasks_probes_and_training_is_listed() -> None:
    assert listed("finetune") == {f"SPLIT/{name}" for task in TASKS.values() for name in task.metrics}
    assert all(task.metrics for task in TASKS.values())
    of_probes = [f"{score_name(name)}/{figure}" for name, row in PROBES.items() for figure in row.figures]
    assert listed("evaluate") == shown(of_probes)
    assert PRETRAIN.figures(Planned("pretrain", None, {})) is not None
    assert listed("pretrain") == shown(list(PRETRAIN.figures(Planned("pretrain", None, {})) or ()))
