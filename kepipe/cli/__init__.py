"""The command line: parse, call, print. Exit codes: 0 done; 1 a stage failed; 2 a mistake in the command or the
settings; 3 an error of kepipe's own; 130 interrupted."""

from __future__ import annotations

import sys

import typer

from kepipe.cli import cache, config, dashboard, doctor, graph, models, run, schedule, tokenizer, track

app = typer.Typer(
    name="kepipe",
    help="A text corpus + a knowledge graph + a base model → a language model that knows the graph.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command("run")(run.run)
app.command("plan")(run.plan)
app.command("doctor")(doctor.doctor)
app.command("dashboard")(dashboard.dashboard)
app.command("scheduler")(schedule.scheduler)
app.add_typer(config.app, name="config")
app.add_typer(cache.app, name="cache")
app.add_typer(graph.app, name="graph")
app.add_typer(models.app, name="models")
app.add_typer(schedule.app, name="schedule")
app.add_typer(tokenizer.app, name="tokenizer")
app.add_typer(track.app, name="track")


def main() -> None:
    """Run the command; turn the user's mistakes into a sentence and an exit code, without a traceback."""
    from kepipe.config import ConfigError
    from kepipe.flow.runner import StageFailed

    debug = "--debug" in sys.argv
    if debug:
        sys.argv.remove("--debug")
    try:
        app()
    except KeyboardInterrupt:
        _stop("interrupted; the same command continues where it stopped", 130)
    except StageFailed as failure:
        if debug:
            raise
        cause = failure.cause
        if isinstance(cause, ConfigError):
            _stop(f"{failure.stage}: {cause}", 2)
        if isinstance(cause, (ValueError, OSError)):
            _stop(str(failure), 1)
        _stop(f"{failure} ({type(cause).__name__}; `--debug` shows where)", 3)
    except (ValueError, OSError) as mistake:  # the project's own say what to do (ConfigError among them)
        if debug:
            raise
        _stop(str(mistake), 2)
    except Exception as error:  # the last resort: say what happened, keep the traceback for --debug
        if debug:
            raise
        _stop(f"{type(error).__name__}: {error} (`--debug` shows where)", 3)


def _stop(message: str, code: int) -> None:
    print(f"kepipe: {message}", file=sys.stderr)
    raise SystemExit(code)
