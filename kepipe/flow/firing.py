"""From a look to a firing that has ended: attempts, pauses between them, the most runs at once, what is remembered.

A firing is noted before its first run and after its last, so that one that a kill cut off is made up for by the next
scheduler, with the attempts that are left.
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
from kepipe.flow.triggers.base import Kept, Look, Sight, Sources, pipeline_alone
from kg.regular_files import read_json

BEAT = 0.5
"""Seconds between attempts to get hold of what another run holds."""


def silent(_text: str) -> None:
    """Say nothing."""


def nobody(_name: str, _schedule: Schedule, _result: Result) -> None:
    """Notify nobody."""


@dataclass(frozen=True)
class Means:
    """How a scheduler looks, tells and notifies. `at_once`: the most runs at a time, of all pipelines together."""

    sources: Sources = pipeline_alone
    tell: Callable[[str], None] = silent
    notify: Callable[[str, Schedule, Result], None] = nobody
    at_once: int = 2


@dataclass(frozen=True)
class Begun:
    """A firing that has begun: why, its next attempt's number, and what its trigger remembers once it has ended."""

    reason: str
    attempt: int = 1
    done: Kept = field(default_factory=dict)


_BEGUN = TypeAdapter(Begun)


class Firings:
    """What schedules of a workspace fire, in this process."""

    def __init__(self, workspace: Path, means: Means) -> None:
        self.workspace, self._means, self._stop = workspace.resolve(), means, threading.Event()
        self.soon: set[str] = set()
        """Schedules whose next look may find a reason without that anything changes."""

    def stop(self) -> None:
        """Interrupt what runs and what waits; it is made up for by the next scheduler."""
        self._stop.set()
        interrupt_all()

    def fire_if_due(self, name: str, schedule: Schedule) -> Result | None:
        """Look, and fire where there is a reason; None where there is none. This is what a job calls."""
        self.soon.discard(name)
        begun = read_begun(self.workspace, name)
        if begun is not None:
            return self._end(name, schedule, begun, self._attempts(name, schedule, begun, wait=True))
        try:
            look = schedule.when.look(self._sight(name, schedule))
        except (ValueError, OSError) as error:
            return self._cannot_look(name, schedule, str(error))
        if look.soon:
            self.soon.add(name)
        if not look.reason:
            keep(self.workspace, name, look.keep)
            return None
        return self._fire(name, schedule, look)

    def fire_by_hand(self, name: str, schedule: Schedule) -> Result:
        """Fire whatever the trigger says, with one attempt."""
        done = schedule.when.fired_by_hand(self._sight(name, schedule))
        begun, single = Begun("by hand", 1, done), schedule.model_copy(update={"retries": 0})
        return self._end(name, schedule, begun, self._attempts(name, single, begun, wait=False, noted=False))

    def _fire(self, name: str, schedule: Schedule, look: Look) -> Result:
        begun = Begun(look.reason, 1, look.done)
        self._say(name, f"fires: {look.reason}")
        return self._end(name, schedule, begun, self._attempts(name, schedule, begun, wait=False))

    def _attempts(
        self, name: str, schedule: Schedule, begun: Begun, *, wait: bool, noted: bool = True
    ) -> Result:
        """Run until it goes well, or no retry is left. `wait`: for a run of the pipeline that is at work already."""
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
                name, f"{result.outcome}; attempt {attempt + 1} follows in {pause:.0f} s; see {result.log}"
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
                self._stop.wait(BEAT)

    def _end(self, name: str, schedule: Schedule, begun: Begun, result: Result) -> Result:
        """Remember how a firing went. One that the end of this process stopped has not ended."""
        if result.outcome == "skipped":
            _forget(self.workspace, name)
            return result
        remember(self.workspace, name, result)
        if not self._stop.is_set():
            if begun.done:
                keep(self.workspace, name, begun.done)
            _forget(self.workspace, name)
        log = f"; see {result.log}" if result.outcome not in ("finished", "stopped") else ""
        tries = f" at attempt {result.attempts}" if result.attempts > 1 else ""
        self._say(name, f"{result.outcome} after {result.seconds:.1f} s{tries}{log}")
        if result.outcome != "stopped":
            self._means.notify(name, schedule, result)
        return result

    def _cannot_look(self, name: str, schedule: Schedule, why: str) -> Result | None:
        """Say once why a trigger cannot look; it looks again."""
        last = last_result(self.workspace, name)
        result = Result(datetime.now().timestamp(), 0.0, "failed", reason=f"it could not look: {why}")
        if last is not None and last.reason == result.reason:
            return None
        return self._end(name, schedule, Begun(result.reason), result)

    def _sight(self, name: str, schedule: Schedule) -> Sight:
        return sight(self.workspace, name, schedule, self._means.sources)

    def _say(self, name: str, what: str) -> None:
        self._means.tell(f"{datetime.now():%Y-%m-%d %H:%M:%S}  {name}  {what}")

    @contextmanager
    def _slot(self) -> Iterator[Sequence[int]]:
        """One of the places for runs, as soon as there is one. A run keeps its place, were this process killed."""
        folder = self.workspace / "schedule" / "locks"
        with ExitStack() as stack:
            while True:
                for number in range(self._means.at_once):
                    handle = stack.enter_context(locked(folder / f"place-{number}"))
                    if handle is not None:
                        yield [handle]
                        return
                stack.close()
                if self._stop.wait(BEAT):
                    yield []
                    return


@contextmanager
def _no_slot() -> Iterator[Sequence[int]]:
    """For a run that somebody asked for by hand."""
    yield []


def sight(workspace: Path, name: str, schedule: Schedule, sources: Sources) -> Sight:
    """What a trigger is given to look."""
    return Sight(workspace, Path(schedule.pipeline), schedule.overrides, sources, read_kept(workspace, name))


def read_kept(workspace: Path, name: str) -> Kept:
    """What a trigger remembers; nothing where the file is damaged, which fires once too often and never too seldom."""
    kept = _read(workspace, name, "trigger.json")
    return kept if isinstance(kept, Mapping) else {}


def keep(workspace: Path, name: str, kept: Kept) -> None:
    """Have a trigger remember, where that is something new."""
    if kept != read_kept(workspace, name):
        _write(workspace, name, "trigger.json", kept)


def read_begun(workspace: Path, name: str) -> Begun | None:
    """The firing that has begun and not ended."""
    try:
        return _BEGUN.validate_python(_read(workspace, name, "begun.json"))
    except ValueError:
        return None


def _note(workspace: Path, name: str, begun: Begun) -> None:
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
