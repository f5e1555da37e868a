"""The page of `kepipe few-shot`."""

from __future__ import annotations

from kepipe.report.few_shot import FewShotRun, few_shot_page
from kepipe.report.page import Figure, render
from kepipe.studies.intervals import Estimate


def run(arm: str, size: int | None, *right: float, metrics: bool = False) -> FewShotRun:
    estimates = {shots: Estimate(value, 0.1, 0.9, 50, 50) for shots, value in enumerate(right)}
    return FewShotRun(arm, size, estimates, {n: {"mrr": e} if metrics else {} for n, e in estimates.items()})


def test_few_shot_page_shows_accuracy_by_examples_and_size() -> None:
    runs = [run("large", 1000, 0.4, 0.7, metrics=True), run("small", 10, 0.3, 0.5, metrics=True)]
    page = few_shot_page("moons", 50, "25.0% right by chance", runs, calibrated=True)
    assert page.headline == "moons: 0.700 right at best, by large with 1 examples"
    assert [section.name for section in page.sections] == ["examples", "size", "metrics"]
    html = render(page)
    assert "answers are calibrated" in html
    assert "parameters" in html
    assert html == render(page)


def test_few_shot_page_without_different_sizes_has_no_size_chart() -> None:
    runs = [run("a<b>", 10, 0.4), run("other", None, 0.3)]
    page = few_shot_page("moons", 50, "25.0% right by chance", runs, calibrated=False)
    assert [section.name for section in page.sections] == ["examples"]
    assert isinstance(page.sections[0].blocks[0], Figure)
    assert "a<b>" not in render(page)
