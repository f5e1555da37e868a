"""The printed plan: one line per stage; copies of a study's stages grouped by arm."""

from __future__ import annotations

import re
from typing import Any

from kepipe.cli.plan import lines
from kepipe.config import Section
from kepipe.flow.plan import Node, Status, Step
from tests.support.flow import DOUBLE


def step(name: str, status: Status = "cached", why: str = "made by run r", **labels: Any) -> Step:
    return Step(Node(name, DOUBLE, Section(), {}, labels=labels), status, why, "k1")


def copy(stage: str, arm: str, seed: int, status: Status = "cached", why: str = "made by run r") -> Step:
    return step(f"{stage}.{arm}.{seed}", status, why, stage=stage, arm=arm, seed=str(seed))


def words(*line: str) -> list[str]:
    return re.sub(r"\x1b\[[0-9;]*m", "", "".join(line)).split()


def test_plan_groups_seeds_with_equal_status_in_one_line() -> None:
    steps = [step("graph")]
    for seed in (0, 1, 2, 4):
        steps += [copy("pretrain", "on", seed), copy("pretrain", "off", seed)]
        waits = f"waits for its input `pretrain.on.{seed}`"
        steps.append(copy("evaluate", "on", seed, "to run", waits))
    steps[1] = copy("pretrain", "on", 0, "resumable", "an attempt was interrupted")
    steps.append(step("study", "to run", "has not run before"))
    waiting = "evaluate seeds 0-2, 4 to run waits for its input `pretrain.on`"
    told = [words(*line) for line in lines(steps)]
    assert told == [
        ["graph", "cached", "k1", "made", "by", "run", "r"],
        ["on"],
        ["pretrain", "seed", "0", "resumable", "an", "attempt", "was", "interrupted"],
        ["pretrain", "seeds", "1-2,", "4", "cached", "made", "by", "run", "r"],
        words(waiting),
        ["off"],
        ["pretrain", "seeds", "0-2,", "4", "cached", "made", "by", "run", "r"],
        ["study", "to", "run", "k1", "has", "not", "run", "before"],
    ]  # fmt: skip


def test_plan_marks_stages_shared_by_all_seeds() -> None:
    shared = step("embed.wide", stage="embed", arm="wide", seed="all seeds")
    assert words(*list(lines([shared]))[1])[:4] == [
        "embed",
        "all",
        "seeds",
        "cached",
    ]
