"""Scores by the number of examples: grouping of stages, and the drawing."""

from __future__ import annotations

from kepipe.report.learning_curve import curve, sized
from kepipe.studies.intervals import Estimate


def test_size_is_parsed_from_a_stage_name() -> None:
    assert sized("finetune-300") == ("finetune", "300")
    assert sized("my-task-all.full.0") == ("my-task.full.0", "all")
    assert sized("finetune") is None
    assert sized("same-meaning") is None


def test_learning_curve_has_a_row_per_size_and_needs_two() -> None:
    def score(value: float) -> Estimate:
        return Estimate(value, value - 0.1, value + 0.1, 50, 50)

    scores = {f"finetune-{size}": {"full": score(0.5), "slow": score(0.4)} for size in ("100", "all")}
    figure = curve(scores, "accuracy", ["full", "slow"])
    assert figure is not None
    assert "100 examples" in str(figure.svg)
    assert "slow" in str(figure.svg)
    assert curve({"finetune-100": {"full": score(0.5)}}, "accuracy", ["full"]) is None
    assert curve({"a": {"full": score(0.5)}, "b": {"full": score(0.5)}}, "accuracy", ["full"]) is None
