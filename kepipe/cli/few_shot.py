"""`kepipe few-shot`: evaluate language models on tasks by prompting."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kepipe.api.knowledge import prompt_facts, read_added
from kepipe.cli.arms import arms
from kepipe.cli.generate import PromptStyleOption, SeedOption, open_writer
from kepipe.cli.knowledge_option import (
    LinkerOption,
    PromptGraphOption,
    PromptKnowledgeOption,
    VectorsOption,
    WriterArgument,
    report_facts,
)
from kepipe.inference.normalisation import Normalise
from kepipe.terminal import echo

if TYPE_CHECKING:
    from kepipe.finetuning.asking import PromptedTask
    from kepipe.inference.few_shot import Result
    from kepipe.inference.prompt_task import Task
    from kepipe.studies.intervals import Estimate


def few_shot(
    model: WriterArgument,
    task: Annotated[
        Path, typer.Argument(help="The YAML or JSON file of the task, or of its data.", show_default=False)
    ],
    shots: Annotated[str, typer.Option(help="Numbers of solved examples in the prompt.")] = "0,1,4",
    normalise: Annotated[
        Normalise, typer.Option(help="Normalise a choice's log-likelihood by its length in these units.")
    ] = "tokens",
    limit: Annotated[int, typer.Option(min=1, help="Maximum number of tokens of a generated answer.")] = 16,
    seed: SeedOption = 0,
    calibrate: Annotated[
        bool,
        typer.Option(
            "--calibrate",
            help="Contextual calibration: divide by each choice's probability without a question.",
        ),
    ] = False,
    beside: Annotated[
        list[str] | None,
        typer.Option(
            help="Another model to compare on the same questions. May be repeated.", show_default=False
        ),
    ] = None,
    page: Annotated[
        Path | None,
        typer.Option(
            help="Write an HTML page: accuracy by number of examples and model size.", show_default=False
        ),
    ] = None,
    prompt_style: PromptStyleOption = None,
    knowledge: PromptKnowledgeOption = None,
    graph: PromptGraphOption = None,
    vectors: VectorsOption = None,
    linker: LinkerOption = None,
    show: Annotated[
        bool, typer.Option("--show", help="Print every question with the model's answer.")
    ] = False,
) -> None:
    """Evaluate a language model on a task by prompting, zero-, one- or few-shot: accuracy with 95% intervals."""
    import numpy as np

    from kepipe.finetuning.asking import read_prompted_task
    from kepipe.inference.few_shot import draw_examples, evaluate
    from kepipe.models.protocols import CountsParameters
    from kepipe.report.few_shot import FewShotRun, few_shot_page
    from kepipe.report.page import render

    names, asked, numbers = arms([model, *(beside or ())]), read_prompted_task(task), _numbers(shots)
    own = asked.task
    examples = {number: draw_examples(own, number, np.random.default_rng(seed)) for number in numbers}
    added = read_added(knowledge, graph, vectors, linker)
    echo(f"{own.name}: {len(own.questions)} questions, {_chance(own)}")
    runs = []
    for arm, name in names.items():
        opened = open_writer(name, prompt_style, added)
        language_model = opened.language_model
        assert language_model is not None
        facts = prompt_facts(opened, added, linker, [own.prompt(question, ()) for question in own.questions])
        size = language_model.num_parameters if isinstance(language_model, CountsParameters) else None
        if len(names) > 1:
            echo(f"{arm}{'' if size is None else f', {size:,} parameters'}")
        echo(f"{'examples':>8}  {'right':>6}  95% interval")
        results = {}
        for number in numbers:
            results[number] = evaluate(
                language_model, own, examples[number], normalise=normalise, limit=limit, calibrated=calibrate,
                facts=facts,
            )  # fmt: skip
            _print_result(asked, results[number], show=show)
        report_facts(None if facts is None else facts.counts)
        metrics = {number: asked.score(result) for number, result in results.items()}
        runs.append(FewShotRun(arm, size, {n: r.accuracy() for n, r in results.items()}, metrics))
    if page is not None:
        drawn = few_shot_page(own.name, len(own.questions), _chance(own), runs, calibrated=calibrate)
        page.write_text(render(drawn), encoding="utf-8")
        echo(f"wrote {page}", err=True)


def _print_result(asked: PromptedTask, result: Result, *, show: bool) -> None:
    """Print a line of the table, the task's own metrics, and, with `show`, the answers."""
    echo(f"{result.shots:>8}  {_share(result.accuracy())}")
    metrics = asked.score(result)
    if metrics:
        echo(f"{'':>8}  {_metrics_text(metrics)}")
    for question, answer, right in zip(asked.task.questions, result.answers, result.right, strict=True):
        if show:
            echo(f"          {'✓' if right else '✗'} {question.question or question.given} → {answer}")


def _metrics_text(metrics: Mapping[str, Estimate]) -> str:
    """The metrics of a task, without their intervals."""
    return ", ".join(f"{name} {estimate.value:.3f}" for name, estimate in metrics.items())


def _numbers(shots: str) -> list[int]:
    """`0,1,4` → [0, 1, 4]. Raises BadParameter."""
    try:
        numbers = [int(part) for part in shots.split(",")]
    except ValueError:
        numbers = [-1]
    if min(numbers) < 0:
        raise typer.BadParameter(f"--shots {shots}: expected numbers ≥ 0 separated by commas, such as 0,1,4")
    return numbers


def _chance(task: Task) -> str:
    """The accuracy of random guessing, as text."""
    shares = [1 / len(question.choices) for question in task.questions if question.choices]
    return f"{sum(shares) / len(shares):.1%} right by chance" if shares else "free-form answers"


def _share(accuracy: Estimate) -> str:
    """A share with its interval."""
    assert accuracy.low is not None
    assert accuracy.high is not None
    return f"{accuracy.value:>6.1%}  {accuracy.low:.1%} to {accuracy.high:.1%}"
