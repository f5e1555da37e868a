"""All results on one page, of studies and of other stages: as HTML and as Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from kepipe.report import halves, measured
from kepipe.report.measured import cost_cells, interval
from kepipe.report.page import Block, Code, Page, Section, Table, Text
from kepipe.report.wording import plain, signed
from kepipe.studies.all_results import AllResults
from kepipe.studies.intervals import Estimate
from kepipe.studies.results import Compared, Measured, StudyResult
from kepipe.studies.significance import detectable

ARMS = ("Arm", "mean", "95% interval", "seeds", "processor s a seed", "peak MB", "parameters")
PAIRS = (
    "Difference",
    "mean",
    "95% interval",
    "p, t",
    "p, Holm",
    "p, permutation",
    "p, Wilcoxon",
    "interval shows",
)
READING = (
    "Intervals are Student's t over seeds; a gain is an interval above 0 against the reference and every control, "
    "which is also shown with Holm's correction over all arms under test and all tasks of the study. The "
    "p-values are of the t test, plain and with Holm's correction over the comparisons of the measure, of the paired "
    "permutation test (at least 0.25 with 3 seeds, 0.0625 with 5), and of Wilcoxon's test."
)


def results_page(found: AllResults, published: Mapping[str, str]) -> Page:
    """The page. `published`: pipeline → the direction of published results."""
    studies = found.studies
    sections = tuple(
        Section(f"study-{number}", study.pipeline, tuple(_blocks(study, published.get(study.pipeline, ""))))
        for number, study in enumerate(studies)
    )
    others = measured.sections(found.scores, [study.pipeline for study in studies])
    return Page(
        title="Results",
        kicker="all studies and scores" if found.scores else "all studies",
        headline=_headline(found),
        lead=READING if studies else "",
        sections=(*sections, *others, *measured.benchmark_sections(found.benchmarks)),
    )


def _headline(found: AllResults) -> str:
    gained = sum(study.gained for study in found.studies)
    parts = [f"{_counted(found.studies, 'study', 'studies')}, {gained} with a gain"] if found.studies else []
    if found.scores:
        parts.append(f"{_counted(found.scores, 'stage', 'stages')} measured outside of studies")
    if found.benchmarks:
        parts.append(_counted(found.benchmarks, "benchmark", "benchmarks"))
    return f"{'; '.join(parts)}."


def _counted(things: Sequence[object], one: str, several: str) -> str:
    return f"{len(things)} {one if len(things) == 1 else several}"


def markdown(page: Page, command: str) -> str:
    """The page as Markdown, with the command that writes it at the top."""
    parts = [f"# {page.title}", f"```\n{command}\n```", page.headline, *([page.lead] if page.lead else [])]
    for section in page.sections:
        parts.append(f"## {_cell(section.title)}")
        parts += [_block(block) for block in section.blocks]
    return "\n\n".join(parts) + "\n"


def _block(block: Block) -> str:
    if isinstance(block, Table):
        rule = " | ".join("---:" if column in block.numbers else "---" for column in range(len(block.head)))
        rows = (" | ".join(map(_cell, row)) for row in block.rows)
        head = " | ".join(map(_cell, block.head))
        caption = [f"{block.caption}\n"] if block.caption else []
        return "\n".join([*caption, f"| {head} |", f"| {rule} |", *(f"| {row} |" for row in rows)])
    if isinstance(block, Code):
        return f"```\n{block.body}\n```"
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
    deciding = [measure for measure in study.measures if measure.name in study.deciding]
    if len(deciding) > 1:
        yield _by_task(deciding)
    of_halves = halves.measures(study.findings) - study.deciding  # in the tables at the end
    for measure in (each for each in study.measures if each.name not in of_halves):
        decides = ", which decides" if measure.name in study.deciding else ""
        yield _arms(study, measure, f"{measure.name}{decides}, {measure.better} is better.")
        if measure.differences:
            rows = tuple(_difference(each) for each in measure.differences)
            yield Table(PAIRS, rows, numbers=(1, 2, 3, 4, 5, 6))
    yield from halves.blocks(study.findings, study.reference)


def _by_task(deciding: Sequence[Measured]) -> Table:
    """All arms by task, or by the size of the training data, each with the measure that decides."""
    arms = tuple(dict.fromkeys(arm for measure in deciding for arm in measure.arms))
    rows = tuple((measure.name, *(_mean(measure.arms.get(arm)) for arm in arms)) for measure in deciding)
    caption = "Means over the seeds with 95% intervals."
    return Table(("Measure", *arms), rows, caption, numbers=tuple(range(1, len(arms) + 1)))


def _mean(mean: Estimate | None) -> str:
    return "–" if mean is None else f"{plain(mean.value)} ({interval(mean, plain)})"


def _arms(study: StudyResult, measure: Measured, caption: str) -> Table:
    rows = tuple(
        (arm, plain(mean.value), interval(mean, plain), mean.cases, *cost_cells(study.costs.get(arm)))
        for arm, mean in measure.arms.items()
    )
    return Table(ARMS, rows, caption, numbers=tuple(range(1, len(ARMS))))


def _difference(each: Compared) -> tuple[str, ...]:
    tests = each.tests
    p_values = (tests.t, each.holm, tests.permutation, tests.wilcoxon)
    return (each.pair, signed(each.mean.value), interval(each.mean, signed), *map(_p, p_values), each.shows)


def _p(value: float | None) -> str:
    return "–" if value is None else f"{value:.2g}"
