"""Event sinks of a tuning trial: progress on the screen, and pruning."""

from __future__ import annotations

from dataclasses import dataclass

from kepipe.flow.events import Event, Metrics, Noted, Progressed, RunStopped, Sink
from kepipe.studies.design import Measure
from kepipe.tuning.search import RunningTrial


@dataclass(frozen=True)
class Quiet:
    """Passes on progress, metrics per step and warnings only, since a trial is one run of many."""

    sink: Sink

    def __call__(self, event: Event) -> None:
        stepped = isinstance(event, Metrics) and event.step is not None
        warned = isinstance(event, Noted) and event.level == "warning"
        if stepped or warned or isinstance(event, Progressed):
            self.sink(event)


@dataclass(frozen=True)
class Pruner:
    """Stops a trial that is worse at a step than the median of earlier trials.

    `by`: a metric that a stage logs by step. `higher`: whether the search maximises; if the metric's direction differs,
    its negative is compared.
    """

    trial: RunningTrial
    by: Measure
    higher: bool
    tell: Sink

    def __call__(self, event: Event) -> None:
        if not isinstance(event, Metrics) or event.step is None or event.stage != self.by.stage:
            return
        value = event.values.get(self.by.metric)
        if value is None:
            return
        same = (self.by.better == "higher") == self.higher
        if self.trial.report(value if same else -value, event.step):
            median = "the median of earlier trials"
            why = f"pruned at step {event.step}: {self.by.name} {value:.4g} is worse than {median}"
            self.tell(Noted(run=event.run, level="info", message=why))
            raise RunStopped(why)
