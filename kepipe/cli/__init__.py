"""The command line: parse, call, print. Exit codes: 0 success; 1 a stage failed; 2 a mistake in the command or the
settings; 3 a bug in kepipe; 130 interrupted."""

from __future__ import annotations

import os
import sys
from typing import Annotated, Any

import typer
from typer.rich_utils import rich_format_error

from kepipe.api.privacy import SAFE_PATH
from kepipe.cli import (
    arpa,
    bundle,
    cache,
    config,
    dashboard,
    doctor,
    drift,
    elmo,
    few_shot,
    generate,
    graph,
    init,
    inject,
    link,
    models,
    perplexity,
    predict,
    quiz,
    results,
    run,
    runs,
    schedule,
    serve,
    sign,
    tokenizer,
    track,
    tune,
    vectors,
)
from kepipe.stop_signals import INTERRUPTED, raise_interrupts
from kepipe.terminal import clean, echo, print_all_letters
from kepipe.version import __version__

app = typer.Typer(
    name="kepipe",
    help="A text corpus + a knowledge graph + a base model → a language model that knows the graph.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _print_version(requested: bool) -> None:
    if requested:
        echo(f"kepipe {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    _version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    pass


app.command("init")(init.init)
app.command("run")(run.run)
app.command("plan")(run.plan)
app.command("tune")(tune.tune)
app.command("generate")(generate.generate)
app.command("few-shot")(few_shot.few_shot)
app.command("perplexity")(perplexity.perplexity)
app.command("export")(generate.export)
app.command("import-arpa")(arpa.import_arpa)
app.command("import-elmo")(elmo.import_elmo)
app.command("predict")(predict.predict)
app.command("quiz")(quiz.quiz)
app.command("inject")(inject.inject)
app.command("sign")(sign.sign)
app.command("verify")(sign.verify)
app.command("drift")(drift.drift)
app.command("results")(results.results)
app.command("lineage")(runs.lineage)
app.command("doctor")(doctor.doctor)
app.command("bundle")(bundle.bundle)
app.command("dashboard")(dashboard.dashboard)
app.command("serve")(serve.serve)
app.command("scheduler")(schedule.scheduler)
app.add_typer(config.app, name="config")
app.add_typer(cache.app, name="cache")
app.add_typer(graph.app, name="graph")
app.add_typer(link.app, name="link")
app.add_typer(models.app, name="models")
app.add_typer(runs.app, name="runs")
app.add_typer(schedule.app, name="schedule")
app.add_typer(tokenizer.app, name="tokenizer")
app.add_typer(track.app, name="track")
app.add_typer(vectors.app, name="vectors")

MISUSE: Any = next(kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "ClickException")
"""typer's exception for a mistake in the command, a class without a public name."""


def _in_utf8() -> None:
    """Restart Python in UTF-8 mode if it decodes file names as anything else, as in the locale C: such names would hold
    surrogates, which cannot be written to kepipe's files."""
    if sys.getfilesystemencoding() != "utf-8":
        os.environ["PYTHONUTF8"] = "1"
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])


def main() -> None:
    """Run the command. Errors end as one sentence and an exit code, without a traceback unless `--debug` is given."""
    _in_utf8()
    print_all_letters()
    debug = "--debug" in sys.argv
    if debug:
        sys.argv.remove("--debug")
    os.environ[SAFE_PATH] = "1"
    raise_interrupts()
    try:
        code = app(standalone_mode=False)  # typer turns Ctrl-C into INTERRUPTED
    except MISUSE as mistake:
        mistake.message = clean(mistake.message)
        rich_format_error(mistake)
        code = mistake.exit_code
    except Exception as error:  # the one place where every error ends: as a sentence, or whole with --debug
        if debug:
            raise
        _stop(*_explain(error))
    if code == INTERRUPTED:
        _stop("interrupted; the same command continues where it stopped", INTERRUPTED)
    raise SystemExit(code)


def _explain(error: Exception) -> tuple[str, int]:
    """What to tell the user, and the exit code."""
    from kepipe.config import ConfigError
    from kepipe.flow.runner import StageFailed

    cause = error.cause if isinstance(error, StageFailed) else error
    if isinstance(cause, ConfigError):
        return str(error), 2
    if (
        isinstance(cause, MemoryError)
        or "out of memory" in str(cause)
        or "can't allocate memory" in str(cause)
    ):
        return (
            f"{error}: in training a smaller batch (`batch_tokens`), shorter rows or a smaller model need less",
            1,
        )
    if isinstance(cause, (ValueError, OSError)):
        return str(error), 1 if isinstance(error, StageFailed) else 2
    return f"{type(cause).__name__}: {error} (`--debug` shows where)", 3


def _stop(message: str, code: int) -> None:
    echo(f"kepipe: {message}", err=True)
    raise SystemExit(code)
