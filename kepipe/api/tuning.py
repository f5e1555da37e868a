"""Search the settings of a pipeline: `kepipe tune`, `kepipe.tune`.

A trial is a run of the pipeline up to the stage that is measured; stages shared with other trials are cached. In
MLflow, trials are child runs of the tuning.
"""

from __future__ import annotations

import math
import secrets
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING, Any

import yaml

from kepipe import pipeline as pipelines
from kepipe.api.privacy import kept_private
from kepipe.api.result import RunResult
from kepipe.api.running import assignments, place_of, refuse_launcher, with_chosen_workers
from kepipe.api.trial import Pruner, Quiet
from kepipe.config import ConfigError, as_yaml, override, parse_value, read, suggest
from kepipe.console.run import open_console
from kepipe.files import lock, write_text
from kepipe.flow.artifact import hash_json
from kepipe.flow.events import Metrics, RunEnded, RunStarted, RunStopped, Sink, Status
from kepipe.flow.plan import Flow, Workspace
from kepipe.flow.runner import STOPPED, Run, StageFailed, StageSelection
from kepipe.pipeline.conflicts import planned
from kepipe.pipeline.inspection import inspect
from kepipe.pipeline.shipped import find
from kepipe.provenance import run_tags
from kepipe.studies.design import Better, Measure, better_by_name
from kepipe.studies.figures import refusal
from kepipe.terminal import echo
from kepipe.tracking import track
from kepipe.tracking.tunings import TRIAL, TUNING
from kepipe.tuning.ranges import Range, Ranges, read_ranges
from kepipe.tuning.search import Method, RunningTrial, Search, Trial

if TYPE_CHECKING:
    from kepipe.api.running import Assignments

FOLDER, BEST = "tuning", "best.yaml"
"""Folder of a workspace for tunings; name of the pipeline file with the best settings."""


BY_TPE = Method()


@dataclass(frozen=True)
class TuneResult:
    """A finished tuning. `measure`: `STAGE/METRIC`. `pipeline`: the complete pipeline file with the best settings."""

    folder: Path
    measure: str
    trials: tuple[Trial, ...]
    best: Trial
    pipeline: Path

    @property
    def settings(self) -> dict[str, Any]:
        """The best settings, for `kepipe.run(…, set=…)`."""
        return {key: parse_value(value) for key, value in self.best.settings.items()}


def tune(
    pipeline: str | Path,
    ranges: Ranges,
    measure: str,
    *,
    trials: int = 20,
    set: Assignments = (),
    workspace: str | Path | None = None,
    better: Better | None = None,
    method: Method = BY_TPE,
) -> TuneResult:
    """Search settings of a pipeline for the best value of a metric, as `kepipe tune`. An interrupted search continues;
    finished trials are not repeated.

    `ranges`: key of a setting → `"1e-5..1e-3:log"`, `"2..8"`, `"64..256:step=64"`, or a list of choices. `measure`:
    `STAGE/METRIC`, as in a study. `trials`: their total number. `better`: which values are better; default: inferred
    from the metric's name. `set`, `workspace`: as in `kepipe.run`.

    Raises ConfigError for invalid settings or names, ValueError if no trial finished.
    """
    file = find(Path(pipeline))
    with kept_private(), open_console(False) as console:
        tuning = Tuning.of(file, assignments(set), read_ranges(ranges), measure, better, method)
        return tuning.search(place_of(workspace), trials, console)


@dataclass(frozen=True)
class Tuning:
    """A search: ranges of settings of a pipeline file with assignments, and the measure to optimise."""

    file: Path
    assigned: Sequence[str]
    ranges: Sequence[Range]
    measure: Measure
    prune_by: Measure | None
    method: Method
    flow: Flow
    """The pipeline with some values of the ranges."""

    @classmethod
    def of(
        cls,
        file: Path,
        assigned: Sequence[str],
        ranges: Sequence[Range],
        measure: str,
        better: Better | None,
        method: Method,
    ) -> Tuning:
        """Check the arguments before anything runs: raises ConfigError for a range of which both ends are invalid, and
        for a metric that no stage has."""
        figure = _measure(measure, better)
        by = None if method.prune_by is None else _measure(method.prune_by, None)
        flow = with_chosen_workers(_check_ranges(file, assigned, ranges))
        for name in (figure, by):
            if name is not None:
                _check_figure(flow, name)
        order = [node.name for node in flow.nodes]
        if by is not None and order.index(by.stage) > order.index(figure.stage):
            raise ConfigError(f"prune by {by.name}: `{by.stage}` comes after `{figure.stage}`")
        return cls(file, assigned, ranges, figure, by, method, flow)

    def search(self, workspace: Path, trials: int, console: Sink) -> TuneResult:
        """Run trials until there are `trials` in total. Raises ValueError if none finished."""
        refuse_launcher()
        place = Workspace(workspace.resolve())
        place.make()
        name = self._name()
        folder = place.root / FOLDER / name
        folder.mkdir(parents=True, exist_ok=True)
        with lock(folder / "lock", timeout=0) as mine:
            if not mine:
                raise ConfigError(f"{folder}: another process is running this tuning")
            search = Search(folder, self.ranges, self.measure.better == "higher", self.method)
            if len(search.ended()) < trials:
                for warning in inspect(self.flow):
                    echo(f"warning: {warning}", err=True)
                with self._tracked(place, name) as (run, tell):
                    while (number := len(search.ended())) < trials:
                        self._try(search, place, f"{run}.{number}", name, (console, tell))
            return self._conclude(search, place, folder)

    def _try(self, search: Search, place: Workspace, run: str, name: str, sinks: tuple[Sink, Sink]) -> None:
        """Run a trial, and record its value."""
        trial, (console, tell) = search.next(), sinks
        shown = "  ".join(_assigned(trial.settings))
        try:
            value = self._run(trial, place, run, name, console)
        except RunStopped as why:
            trial.prune(str(why))
            echo(f"trial {trial.number}: {shown}  {why}")
            return
        except (StageFailed, ValueError) as error:
            trial.fail(str(error))
            echo(f"trial {trial.number}: {shown}  failed: {error}", err=True)
            return
        trial.finish(value)
        best = search.best()
        assert best is not None, "a trial has just finished"
        assert best.value is not None
        values = {self.measure.name: value, f"best {self.measure.name}": best.value}
        tell(Metrics(run=run.rpartition(".")[0], values=values, step=trial.number))
        leads = (
            "the best so far"
            if best.number == trial.number
            else f"best {best.value:.4g}, trial {best.number}"
        )
        echo(f"trial {trial.number}: {shown}  {self.measure.name} {value:.4g} ({leads})")

    def _run(self, trial: RunningTrial, place: Workspace, run: str, name: str, console: Sink) -> float:
        """The measured value of a trial. Raises ConfigError for incompatible settings, StageFailed, RunStopped, and
        ValueError if there is no finite value."""
        assigned = [*self.assigned, *_assigned(trial.settings)]
        flow, settings = pipelines.load(self.file, assigned)
        tags = run_tags(self.file, flow.seed, assigned) | {TUNING: name, TRIAL: str(trial.number)}
        with track(place.root, delivers=False) as tracker:
            sinks: list[Sink] = [Quiet(console), tracker]
            if self.prune_by is not None:
                sinks.append(Pruner(trial, self.prune_by, self.measure.better == "higher", tracker))
            job = replace(_job(flow, place, self.measure.stage, sinks), config=settings, tags=tags, id=run)
            made = RunResult(flow.name, run, place.root, job.execute())
        value = made.figure(self.measure.stage, self.measure.metric)
        if not math.isfinite(value):
            raise ValueError(f"{self.measure.name} is {value}")
        return value

    def _conclude(self, search: Search, place: Workspace, folder: Path) -> TuneResult:
        """Report the best trial, write its pipeline file, and make its results the latest of the pipeline."""
        ended, best = search.ended(), search.best()
        if best is None:
            reason = next((trial.why for trial in reversed(ended) if trial.why), "")
            raise ValueError(f"none of {len(ended)} trials finished; the last: {reason}")
        assigned = [*self.assigned, *_assigned(best.settings)]
        head = (
            f"# The best of {len(ended)} trials, trial {best.number}: {self.measure.name} {best.value!r}\n"
            f"# {self._command(assigned)}\n"
        )
        all_settings = pipelines.with_all_settings(self.file, assigned)
        write_text(folder / BEST, head + yaml.safe_dump(all_settings, sort_keys=False, allow_unicode=True))
        flow, _ = pipelines.load(self.file, assigned)
        _job(flow, place, self.measure.stage, []).execute()
        return TuneResult(folder, self.measure.name, tuple(ended), best, folder / BEST)

    def _command(self, assigned: Sequence[str]) -> str:
        return " ".join(["kepipe run", quote(str(self.file)), *(f"--set {quote(each)}" for each in assigned)])

    @contextmanager
    def _tracked(self, place: Workspace, name: str) -> Iterator[tuple[str, Sink]]:
        """The run of the tuning itself: its id and its sink."""
        run = f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(3)}"
        config = {
            "ranges": {each.key: each.shown for each in self.ranges},
            "measure": self.measure.name,
            "better": self.measure.better,
            "method": asdict(self.method),
        }
        started = time.time()
        status: Status = "failed"
        tags = run_tags(self.file, self.flow.seed, self.assigned) | {TUNING: name}
        with track(place.root) as tracker:
            tracker(RunStarted(run=run, pipeline=self.flow.name, config=config, tags=tags))
            try:
                yield run, tracker
                status = "finished"
            except STOPPED:
                status = "killed"
                raise
            finally:
                tracker(RunEnded(run=run, status=status, seconds=time.time() - started))

    def _name(self) -> str:
        """The tuning's name, equal for equal settings and data, so that it continues."""
        asked = [
            as_yaml(override(read(self.file), self.assigned).data),
            [repr(each) for each in self.ranges],
            [self.measure.as_yaml(), repr(self.method)],
            [
                [node.stage.name, node.stage.version, dict(node.stage.fingerprint(node.config))]
                for node in self.flow.nodes
            ],
        ]
        return f"{self.flow.name}-{hash_json(asked)[:8]}"


def _check_ranges(file: Path, assigned: Sequence[str], ranges: Sequence[Range]) -> Flow:
    """The pipeline with some values of the ranges. Raises ConfigError for a range of which both ends are invalid; for
    one end that is invalid with the first values of the other ranges, it warns, since it may be valid with others."""
    flows: list[Flow] = []
    for each in ranges:
        taken, refused = len(flows), ""
        others = [f"{other.key}={as_yaml(other.ends()[0])}" for other in ranges if other.key != each.key]
        for end in each.ends():
            setting = f"{each.key}={as_yaml(end)}"
            try:
                flows.append(pipelines.load(file, [*assigned, *others, setting])[0])
            except ConfigError as error:
                refused = refused or f"{setting}: {error}"
        if len(flows) == taken:
            raise ConfigError(f"--set-range {refused}")
        if refused:
            echo(f"warning: {refused}; trials with it may fail", err=True)
    return flows[0]


def _assigned(settings: Mapping[str, str]) -> list[str]:
    return [f"{key}={value}" for key, value in settings.items()]


def _job(flow: Flow, place: Workspace, until: str, sinks: Sequence[Sink]) -> Run:
    """The run of a flow up to a stage."""
    from kepipe.device import resolve

    flow = with_chosen_workers(flow)
    return Run(flow, place, StageSelection(until), sinks, device=lambda: resolve(flow.device))


def _measure(name: str, better: Better | None) -> Measure:
    """Parse `STAGE/METRIC`. Raises ConfigError if invalid."""
    stage, slash, metric = name.partition("/")
    if not slash or not stage or not metric:
        raise ConfigError(f"{name}: expected STAGE/METRIC, such as finetune/dev/accuracy")
    return Measure(stage=stage, metric=metric, better=better or better_by_name(metric))


def _check_figure(flow: Flow, measure: Measure) -> None:
    """Raise ConfigError for an unknown stage or metric."""
    stages = {node.name: stage for node, stage in planned(flow.nodes)}
    if measure.stage not in stages:
        raise ConfigError(f"{measure.name}: no stage `{measure.stage}`{suggest(measure.stage, list(stages))}")
    if why := refusal(measure.stage, measure.metric, stages[measure.stage].figures):
        raise ConfigError(f"{measure.name}: {why}")
