"""The picture of the quiz: a PNG for any names of arms, deterministic."""

from __future__ import annotations

from pathlib import Path

from kepipe.probes.graph_quiz.presentation import NAME, PRESENTATION, headlines
from kepipe.report.quiz_picture import draw_quiz
from kepipe.studies.intervals import Estimate
from kepipe.studies.scores import Metrics, Scores


def estimate(value: float) -> Estimate:
    return Estimate(value, value - 0.05, value + 0.05, 100, 90)


def metrics(stated: float, held_out: float | None = None) -> Metrics:
    both = {"accuracy": estimate(stated), "accuracy_stated": estimate(stated)}
    return both if held_out is None else both | {"accuracy_held_out": estimate(held_out)}


def scores(**arms: Metrics) -> Scores:
    baselines = {NAME: {"most_frequent": metrics(0.2, 0.25), "chance": metrics(0.1, 0.1)}}
    return Scores({arm: {NAME: measured} for arm, measured in arms.items()}, (), baselines, {NAME: {}})


def test_quiz_picture_is_deterministic(tmp_path: Path) -> None:
    names = {"facts": metrics(0.9, 0.4), "$\\undefined{x}$": metrics(0.1), "_base": metrics(0.05, 0.0)}
    for file in ("a.png", "b.png"):
        draw_quiz(scores(**names), tmp_path / file)
    drawn = (tmp_path / "a.png").read_bytes()
    assert drawn.startswith(b"\x89PNG")
    assert drawn == (tmp_path / "b.png").read_bytes()
    draw_quiz(scores(facts=metrics(0.5, 0.4)), tmp_path / "other.png")
    assert (tmp_path / "other.png").read_bytes() != drawn


def test_quiz_console_lines_show_arms_and_baselines() -> None:
    lines = list(headlines(NAME, PRESENTATION, scores(facts=metrics(0.9, 0.4), base=metrics(0.05))))
    assert lines == [
        "graph quiz: accuracy on stated and on held-out facts",
        "  facts          0.90  0.40",
        "  base           0.05    – ",
        "  most frequent  0.20  0.25",
        "  chance         0.10  0.10",
    ]
