"""`kepipe tune`: search the settings of a pipeline."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from kepipe.cli.options import WORKSPACE, PipelineArgument, SetOption, WorkspaceOption
from kepipe.terminal import echo


def tune(
    pipeline: PipelineArgument,
    range_: Annotated[
        list[str],
        typer.Option(
            "--set-range",
            help="A setting to search: KEY=LOW..HIGH (integers if both are), KEY=LOW..HIGH:log, "
            "KEY=LOW..HIGH:step=N, KEY=\\[one, another]. May be repeated.",
            show_default=False,
        ),
    ],
    measure: Annotated[
        str,
        typer.Option(
            help="The metric to optimise: STAGE/METRIC, such as finetune/dev/accuracy.", show_default=False
        ),
    ],
    trials: Annotated[
        int,
        typer.Option(min=1, help="Total number of trials, including those of earlier runs of this command."),
    ] = 20,
    workspace: WorkspaceOption = WORKSPACE,
    set_: SetOption = None,
    better: Annotated[
        Literal["higher", "lower"] | None,
        typer.Option(help="Which values are better. \\[inferred from the metric's name]", show_default=False),
    ] = None,
    prune_by: Annotated[
        str | None,
        typer.Option(
            help="Stop a trial early when this STAGE/METRIC, logged during the run (pretrain/held_out_loss), is worse "
            "than the median of earlier trials.",
            show_default=False,
        ),
    ] = None,
    sampler: Annotated[
        Literal["tpe", "random"],
        typer.Option(help="How settings are proposed: by Optuna's TPE, or at random."),
    ] = "tpe",
    startup: Annotated[
        int,
        typer.Option(min=1, help="Random trials, never stopped early, before TPE and pruning begin."),
    ] = 10,
    seed: Annotated[int, typer.Option(min=0, help="Random seed.")] = 0,
) -> None:
    """Search settings of a pipeline for the best value of a metric. An interrupted search resumes when run again."""
    from kepipe.api.tuning import Tuning
    from kepipe.console.run import open_console
    from kepipe.tuning.ranges import read_ranges
    from kepipe.tuning.search import Method

    method = Method(sampler, startup, seed, prune_by)
    tuning = Tuning.of(pipeline, set_ or (), read_ranges(range_), measure, better, method)
    with open_console(False) as console:
        result = tuning.search(workspace, trials, console)
    echo(f"best of {len(result.trials)}: trial {result.best.number}, {measure} {result.best.value:.6g}")
    for key, value in result.best.settings.items():
        echo(f"  --set '{key}={value}'")
    echo(f"  pipeline   {result.pipeline}")
