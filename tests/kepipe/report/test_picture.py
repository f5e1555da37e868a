"""The picture of a run: a panel per metric, a PNG for any names of arms, deterministic."""

from __future__ import annotations

from pathlib import Path

from kepipe.report.picture import Panel, draw, of_probes
from kepipe.studies.intervals import Estimate
from kepipe.studies.scores import Scores


def estimate(value: float) -> Estimate:
    return Estimate(value, value - 0.05, value + 0.05, 100, 90)


BITS = {"gpt": estimate(2.2), "$\\undefined{x}$": estimate(2.1)}


def scores() -> Scores:
    arms = {
        arm: {"perplexity": {"bits_per_byte": bits, "token_perplexity": estimate(300)}}
        for arm, bits in BITS.items()
    }
    baselines = {"perplexity": {"unigram": {"bits_per_byte": estimate(2.7)}}}
    return Scores({**arms, "bert": {}}, (), baselines, {"perplexity": {}})


def test_picture_panel_has_the_main_metric_of_the_arms() -> None:
    (panel,) = of_probes(scores())
    assert panel.label == "Language modelling: bits per byte, lower is better"
    assert (panel.arms, panel.baselines) == (BITS, {"unigram": 2.7})


def test_picture_is_deterministic(tmp_path: Path) -> None:
    tasks = Panel("accuracy", {"_a": Estimate(0.5, None, None, 3, 3), "b": estimate(0.4)})
    for file in ("a.png", "b.png"):
        draw([*of_probes(scores()), tasks], tmp_path / file)
    drawn = (tmp_path / "a.png").read_bytes()
    assert drawn.startswith(b"\x89PNG")
    assert drawn == (tmp_path / "b.png").read_bytes()
    draw(
        [*of_probes(scores()), Panel("accuracy", {**tasks.arms, "b": estimate(0.3)})], tmp_path / "other.png"
    )
    assert (tmp_path / "other.png").read_bytes() != drawn
