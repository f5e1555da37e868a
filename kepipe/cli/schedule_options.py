"""Options of `kepipe schedule add` and `kepipe scheduler`: trigger, failure policy, notifications."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from kepipe.flow.firing import SchedulerOptions
    from kepipe.flow.triggers.base import Trigger


def _duration(text: str | None) -> float | None:
    """`10m` → 600.0. Raises BadParameter."""
    from kepipe.config.duration import seconds

    if text is None:
        return None
    try:
        return float(seconds(text))
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None


@dataclass(frozen=True)
class TriggerOptions:
    """The trigger of a schedule; exactly one must be given."""

    cron: Annotated[
        str,
        typer.Option(
            help='At set times: "0 2 * * *" is every night at two; six fields begin with seconds; @daily.'
        ),
    ] = ""
    when_changed: Annotated[
        bool,
        typer.Option(
            "--when-changed",
            help="When the content of texts, graph, base model or pipeline has changed and is stable again.",
        ),
    ] = False
    after: Annotated[str, typer.Option(help="After each successful run of this other schedule.")] = ""
    on_drift: Annotated[
        bool,
        typer.Option("--on-drift", help="When `kepipe drift` finds drift in new text."),
    ] = False
    zone: Annotated[
        str, typer.Option(help="Time zone of --cron, such as Europe/Berlin; else the machine's.")
    ] = ""
    every: Annotated[
        str | None,
        typer.Option(
            help="Time between checks for --when-changed and --on-drift: 30s, 10m.", callback=_duration
        ),
    ] = None

    def trigger(self) -> Trigger:
        """The trigger. Raises ConfigError unless exactly one is given."""
        from kepipe.flow.triggers.table import TRIGGERS

        given: dict[str, dict[str, Any]] = {}
        if self.cron:
            given["cron"] = {"cron": self.cron, "zone": self.zone}
        every = {} if self.every is None else {"every": self.every}
        if self.when_changed:
            given["when-changed"] = every
        if self.on_drift:
            given["on-drift"] = every
        if self.after:
            given["after"] = {"after": self.after}
        if len(given) != 1:
            names = [f"--{name}" for name in TRIGGERS]
            from kepipe.config import ConfigError

            raise ConfigError(f"give exactly one trigger: {', '.join(names[:-1])} or {names[-1]}")
        ((kind, settings),) = given.items()
        return TRIGGERS[kind](**settings)


@dataclass(frozen=True)
class FailureOptions:
    """Policy for failed and long runs."""

    retries: Annotated[int, typer.Option(min=0, help="Number of retries of a failed run.")] = 0
    backoff: Annotated[
        str,
        typer.Option(
            help="Pause before the first retry; each further one is twice as long.", callback=_duration
        ),
    ] = "1m"
    timeout: Annotated[
        str | None,
        typer.Option(help="Time after which a run is stopped: 90s, 10m, 2h.", callback=_duration),
    ] = None


@dataclass(frozen=True)
class NotificationOptions:
    """Notifications about runs."""

    notify: Annotated[
        list[str] | None,
        typer.Option(
            help="Recipient of notifications about runs: webhook=URL, mail=ADDRESS or command=WORDS. May be repeated."
        ),
    ] = None
    notify_of: Annotated[
        str, typer.Option(help="Notify only of these outcomes: failed,timed out,finished,stopped.")
    ] = ""


def scheduler_options(workspace: Path, notifications: NotificationOptions, at_once: int) -> SchedulerOptions:
    """The options of a scheduler. Raises ConfigError for an invalid notification target."""
    from kepipe.flow.firing import SchedulerOptions
    from kepipe.flow.notices.outbox import Outbox
    from kepipe.pipeline.sources import sources
    from kepipe.terminal import echo

    outcomes = [outcome.strip() for outcome in notifications.notify_of.split(",") if outcome.strip()]
    outbox = Outbox(workspace.resolve(), notifications.notify or (), echo, outcomes)
    outbox.send()
    return SchedulerOptions(sources, echo, outbox, at_once)
