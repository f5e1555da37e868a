"""All studies on one page: as HTML and as Markdown."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from kepipe.report.page import Block, Page, Section, Table, Text
from kepipe.report.wording import plain, signed
from kepipe.studies.intervals import Estimate
from kepipe.studies.results import Compared, Cost, Measured, StudyResult
from kepipe.studies.significance import detectable

ARMS = ("Arm", "mean", "95% interval", "seeds", "processor s a seed", "peak MB", "parameters")
PAIRS = ("Difference", "mean", "95% interval", "p, t", "p, Holm", "p, permutation", "p, Wilcoxon", "shows")
READING = (
    "Intervals are Student's t over seeds; a gain is an interval above 0 against the reference and every control. The "
    "p-values are of the t test, plain and with Holm's correction over the comparisons of the measure, of the paired "
    "permutation test (at least 0.25 with 3 seeds, 0.0625 with 5), and of Wilcoxon's test."
)


def results_page(studies: Sequence[StudyResult], published: Mapping[str, str]) -> Page:
    """The page. `published`: pipeline → the direction of published results."""
    sections = tuple(
        Section(f"study-{number}", study.pipeline, tuple(_blocks(study, published.get(study.pipeline, ""))))
        for number, study in enumerate(studies)
    )
    gained = sum("gain is shown" in study.verdict for study in studies)
    return Page(
        title="Results",
        kicker="all studies",
        headline=f"{len(studies)} {'study' if len(studies) == 1 else 'studies'}, {gained} with a gain.",
        lead=READING,
        sections=sections,
    )


def markdown(page: Page, command: str) -> str:
    """The page as Markdown, with the command that writes it at the top."""
    parts = [f"# {page.title}", f"```\n{command}\n```", page.headline, page.lead]
    for section in page.sections:
        parts.append(f"## {_cell(section.title)}")
        parts += [_block(block) for block in section.blocks]
    return "\n\n".join(parts) + "\n"


def _block(block: Block) -> str:
    if isinstance(block, Table):
        rule = " | ".join("---:" if column in block.numbers else "---" for column in range(len(block.head)))
        rows = (" | ".join(map(_cell, row)) for row in block.rows)
        caption = [f"{block.caption}\n"] if block.caption else []
        return "\n".join(
            [*caption, f"| {' | '.join(block.head)} |", f"| {rule} |", *(f"| {row} |" for row in rows)]
        )
    assert isinstance(block, Text)
    return _cell(block.body)


def _cell(value: object) -> str:
    """Text with Markdown syntax escaped."""
    text = str(value)
    for sign in "\\|<>[]*_`#":
        text = text.replace(sign, f"\\{sign}")
    return " ".join(text.split())


def _blocks(study: StudyResult, published: str) -> Iterator[Block]:
    yield Text(study.verdict)
    if published:
        yield Text(f"Published: {published}")
    number = len(study.seeds)
    if number > 1:
        yield Text(
            f"{number} seeds show a difference of {detectable(number):.1f} standard deviations by seed four times in "
            "five; smaller ones less often.",
            quiet=True,
        )
    for measure in study.measures:
        decides = ", which decides" if measure.name in study.deciding else ""
        yield _arms(study, measure, f"{measure.name}{decides}, {measure.better} is better.")
        if measure.differences:
            rows = tuple(_difference(each) for each in measure.differences)
            yield Table(PAIRS, rows, numbers=(1, 2, 3, 4, 5, 6))


def _arms(study: StudyResult, measure: Measured, caption: str) -> Table:
    rows = tuple(
        (arm, plain(mean.value), _interval(mean, plain), mean.cases, *_cost(study.costs.get(arm)))
        for arm, mean in measure.arms.items()
    )
    return Table(ARMS, rows, caption, numbers=tuple(range(1, len(ARMS))))


def _difference(each: Compared) -> tuple[str, ...]:
    tests = each.tests
    p_values = (tests.t, each.holm, tests.permutation, tests.wilcoxon)
    return (each.pair, signed(each.mean.value), _interval(each.mean, signed), *map(_p, p_values), each.shows)


def _interval(mean: Estimate, show: Callable[[float], str]) -> str:
    return "–" if mean.low is None or mean.high is None else f"{show(mean.low)} to {show(mean.high)}"


def _p(value: float | None) -> str:
    return "–" if value is None else f"{value:.2g}"


def _cost(cost: Cost | None) -> tuple[str, str, str]:
    if cost is None:
        return "–", "–", "–"
    seconds = "–" if cost.processor_seconds is None else f"{cost.processor_seconds:,.0f}"
    return (
        seconds,
        f"{cost.memory:,.0f}" if cost.memory else "–",
        f"{cost.parameters:,}" if cost.parameters else "–",
    )
