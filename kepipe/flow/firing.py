"""Runs schedules that are due: attempts, pauses between them, the limit on concurrent runs, the trigger's state.

A run is recorded as pending before its first attempt and until its last, so that the next scheduler takes over a run
that a kill cut off, with the remaining attempts.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from kepipe.files import replacing
from kepipe.flow.history import Result, last_result, remember
from kepipe.flow.schedule import Schedule
from kepipe.flow.scheduled_run import interrupt_all, locked, run_pipeline
from kepipe.flow.triggers.base import CheckResult, Sources, TriggerContext, TriggerState, pipeline_file_only
from kg.regular_files import read_json

POLL_SECONDS = 0.5
"""Seconds between attempts to take a lock that another run holds."""


def discard_message(_text: str) -> None:
    """Print nothing."""


def notify_nobody(_name: str, _schedule: Schedule, _result: Result) -> None:
    """Send no notification."""


@dataclass(frozen=True)
class SchedulerOptions:
    """Callbacks and limits of a scheduler: how it digests sources, prints and notifies. `at_once`: the maximum number
    of concurrent runs over all pipelines."""

    sources: Sources = pipeline_file_only
    tell: Callable[[str], None] = discard_message
    notify: Callable[[str, Schedule, Result], None] = notify_nobody
    at_once: int = 2


@dataclass(frozen=True)
class PendingRun:
    """A run that has started and not ended: its reason, the number of its next attempt, and `done`, the trigger's state
    once it has ended. The fields are the keys of `begun.json`."""

    reason: str
    attempt: int = 1
    done: TriggerState = field(default_factory=dict)


_PENDING = TypeAdapter(PendingRun)


class ScheduleRunner:
    """Runs the schedules of a workspace in this process."""

    def __init__(self, workspace: Path, means: SchedulerOptions) -> None:
        self.workspace, self._means, self._stop = workspace.resolve(), means, threading.Event()
        self.recheck_soon: set[str] = set()
        """Schedules whose next check may find a reason even if nothing changes."""

    def stop(self) -> None:
        """Interrupt runs and pending retries; the next scheduler takes them over."""
        self._stop.set()
        interrupt_all()

    def fire_if_due(self, name: str, schedule: Schedule) -> Result | None:
        """Check the trigger and run the pipeline if it gives a reason; None if not. APScheduler's jobs call this."""
        self.recheck_soon.discard(name)
        begun = read_pending(self.workspace, name)
        if begun is not None:
            return self._finish(name, schedule, begun, self._attempts(name, schedule, begun, wait=True))
        try:
            check = schedule.when.check(self._trigger_context(name, schedule))
        except (ValueError, OSError) as error:
            return self._check_failed(name, schedule, str(error))
        if check.recheck_soon:
            self.recheck_soon.add(name)
        if not check.reason:
            write_state(self.workspace, name, check.state)
            return None
        return self._fire(name, schedule, check)

    def run_manually(self, name: str, schedule: Schedule) -> Result:
        """Run the pipeline once, whatever the trigger says, without retries."""
        done = schedule.when.state_after_manual_run(self._trigger_context(name, schedule))
        begun, single = PendingRun("by hand", 1, done), schedule.model_copy(update={"retries": 0})
        return self._finish(
            name, schedule, begun, self._attempts(name, single, begun, wait=False, noted=False)
        )

    def _fire(self, name: str, schedule: Schedule, check: CheckResult) -> Result:
        begun = PendingRun(check.reason, 1, check.state_after_run)
        self._say(name, f"fires: {check.reason}")
        return self._finish(name, schedule, begun, self._attempts(name, schedule, begun, wait=False))

    def _attempts(
        self, name: str, schedule: Schedule, begun: PendingRun, *, wait: bool, noted: bool = True
    ) -> Result:
        """Run until an attempt succeeds or no retry is left.

        `wait`: wait for a run of the same pipeline that is in progress, rather than skip this one. `noted`: record the
        run as pending.
        """
        attempt = begun.attempt
        while True:
            if noted:
                _note(self.workspace, name, replace(begun, attempt=attempt))
            result = self._run(name, schedule, wait=wait or attempt > 1, slots=noted)
            result = replace(result, reason=begun.reason, attempts=attempt)
            if result.outcome in ("finished", "skipped", "stopped") or attempt > schedule.retries:
                return result
            pause = schedule.backoff * 2 ** (attempt - 1)
            self._say(
                name,
                f"{result.outcome}; retry: attempt {attempt + 1} starts in {pause:.0f} s; see {result.log}",
            )
            attempt += 1
            if noted:
                _note(self.workspace, name, replace(begun, attempt=attempt))
            if self._stop.wait(pause):
                return replace(result, outcome="stopped")

    def _run(self, name: str, schedule: Schedule, *, wait: bool, slots: bool) -> Result:
        with self._slot() if slots else _no_slot() as handles:
            while True:
                if self._stop.is_set():
                    return Result(datetime.now().timestamp(), 0.0, "stopped")
                result = run_pipeline(self.workspace, name, schedule, handles)
                if result.outcome != "skipped" or not wait:
                    return result
                self._stop.wait(POLL_SECONDS)

    def _finish(self, name: str, schedule: Schedule, begun: PendingRun, result: Result) -> Result:
        """Record the result of a run. A run that was stopped because this process is stopping stays pending."""
        if result.outcome == "skipped":
            _forget(self.workspace, name)
            return result
        remember(self.workspace, name, result)
        if not self._stop.is_set():
            if begun.done:
                write_state(self.workspace, name, begun.done)
            _forget(self.workspace, name)
        log = f"; see {result.log}" if result.outcome not in ("finished", "stopped") else ""
        tries = f" at attempt {result.attempts}" if result.attempts > 1 else ""
        self._say(name, f"{result.outcome} after {result.seconds:.1f} s{tries}{log}")
        if result.outcome != "stopped":
            self._means.notify(name, schedule, result)
        return result

    def _check_failed(self, name: str, schedule: Schedule, why: str) -> Result | None:
        """Report once why a trigger's check failed; it is checked again."""
        last = last_result(self.workspace, name)
        result = Result(datetime.now().timestamp(), 0.0, "failed", reason=f"check failed: {why}")
        if last is not None and last.reason == result.reason:
            return None
        return self._finish(name, schedule, PendingRun(result.reason), result)

    def _trigger_context(self, name: str, schedule: Schedule) -> TriggerContext:
        return trigger_context(self.workspace, name, schedule, self._means.sources)

    def _say(self, name: str, what: str) -> None:
        self._means.tell(f"{datetime.now():%Y-%m-%d %H:%M:%S}  {name}  {what}")

    @contextmanager
    def _slot(self) -> Iterator[Sequence[int]]:
        """One of the `at_once` slots, as soon as one is free. A run keeps its slot even if this process is killed."""
        folder = self.workspace / "schedule" / "locks"
        with ExitStack() as stack:
            while True:
                for number in range(self._means.at_once):
                    handle = stack.enter_context(locked(folder / f"place-{number}"))
                    if handle is not None:
                        yield [handle]
                        return
                stack.close()
                if self._stop.wait(POLL_SECONDS):
                    yield []
                    return


@contextmanager
def _no_slot() -> Iterator[Sequence[int]]:
    """No slot: a run that was started by hand does not count against the limit."""
    yield []


def trigger_context(workspace: Path, name: str, schedule: Schedule, sources: Sources) -> TriggerContext:
    """Input of a trigger's check."""
    return TriggerContext(
        workspace, Path(schedule.pipeline), schedule.overrides, sources, read_state(workspace, name)
    )


def read_state(workspace: Path, name: str) -> TriggerState:
    """State of a trigger; empty if the file is damaged, which may cause one run too many and never one too few."""
    state = _read(workspace, name, "trigger.json")
    return state if isinstance(state, Mapping) else {}


def write_state(workspace: Path, name: str, state: TriggerState) -> None:
    """Store the state of a trigger, if it has changed."""
    if state != read_state(workspace, name):
        _write(workspace, name, "trigger.json", state)


def read_pending(workspace: Path, name: str) -> PendingRun | None:
    """The schedule's run that has started and not ended; None if there is none."""
    try:
        return _PENDING.validate_python(_read(workspace, name, "begun.json"))
    except ValueError:
        return None


def _note(workspace: Path, name: str, begun: PendingRun) -> None:
    _write(workspace, name, "begun.json", asdict(begun))


def _forget(workspace: Path, name: str) -> None:
    (workspace / "schedule" / name / "begun.json").unlink(missing_ok=True)


def _read(workspace: Path, name: str, file: str) -> Any:
    try:
        return read_json(workspace / "schedule" / name / file)
    except (OSError, ValueError):
        return None


def _write(workspace: Path, name: str, file: str, values: Any) -> None:
    folder = workspace / "schedule" / name
    folder.mkdir(parents=True, exist_ok=True)
    with replacing(folder / file, concurrent=True) as unfinished:
        unfinished.write_text(json.dumps(values))
