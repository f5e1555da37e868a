"""Run a pipeline: each stage in order, under the lock of its key; stages with a cached artifact are skipped."""

from __future__ import annotations

import json
import secrets
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NoReturn

from kepipe.config import ConfigError, suggest
from kepipe.flow.artifact import Artifact, read_manifest
from kepipe.flow.events import (
    Event,
    Metrics,
    Noted,
    RunEnded,
    RunStarted,
    RunStopped,
    Sink,
    StageCached,
    StageEnded,
    StageStarted,
    Status,
)
from kepipe.flow.plan import Flow, Node, Workspace, cache_key_inputs, key_of
from kepipe.flow.stage import SourcesChangedError, StageContext
from kepipe.flow.store import WorkDir
from kepipe.flow.work_clock import WorkClock, peak_memory


@dataclass(frozen=True)
class StageSelection:
    """Which stages to run: all, or `until` one with the stages it depends on, or `only` some.

    `force`: stages whose finished artifact is discarded; an interrupted attempt is still resumed.
    """

    until: str | None = None
    only: Sequence[str] = ()
    force: Sequence[str] = ()

    def select(self, flow: Flow) -> Sequence[Node]:
        """The selected nodes and those upstream of them, in order.

        Raises ConfigError for an unknown stage.
        """
        names = [node.name for node in flow.nodes]
        if self.until is not None and self.only:
            raise ConfigError("--until and --only are mutually exclusive")
        for name in (self.until, *self.only, *self.force):
            if name is not None and name not in names:
                raise ConfigError(f"pipeline {flow.name} has no stage `{name}`{suggest(name, names)}")
        needed = set(self.only) if self.until is None else {self.until}
        if not needed:
            return flow.nodes
        for node in reversed(flow.nodes):
            if node.name in needed:
                needed.update(*node.inputs.values())
        return [node for node in flow.nodes if node.name in needed]


RESUMED_NOTE = (
    "it resumed an interrupted attempt; if that attempt's files are damaged, remove them with "
    "`kepipe cache clear --unfinished` and run it again"
)


class StageFailed(Exception):
    """A stage failed. The cause is chained."""

    def __init__(self, stage: str, cause: BaseException) -> None:
        notes = "".join(f"\n{note}" for note in getattr(cause, "__notes__", ()))
        super().__init__(f"stage `{stage}` failed: {cause}{notes}")
        self.stage, self.cause = stage, cause


STOPPED = (KeyboardInterrupt, RunStopped)
"""Exceptions that stop a run from outside; its status is then "killed", not "failed"."""


@dataclass
class Run:
    """One run of a pipeline. `device` is called only when a stage has to run."""

    flow: Flow
    workspace: Workspace
    selection: StageSelection
    sinks: Sequence[Sink]
    device: Callable[[], str]
    config: Mapping[str, Any] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)
    id: str = field(default_factory=lambda: f"{time.strftime('%Y%m%d-%H%M%S')}-{secrets.token_hex(3)}")

    def __post_init__(self) -> None:
        self._emit_lock = threading.RLock()

    def emit(self, event: Event) -> None:
        """Pass an event to every sink, under a lock, since stages may emit from several threads."""
        with self._emit_lock:
            for sink in self.sinks:
                sink(event)

    def execute(self) -> dict[str, Artifact]:
        """Artifacts by stage name. Raises ConfigError, StageFailed, KeyboardInterrupt, or RunStopped."""
        nodes = self.selection.select(self.flow)
        started = time.time()
        status: Status = "failed"
        labels = {node.name: node.labels for node in nodes if node.labels}
        self.emit(
            RunStarted(
                run=self.id, pipeline=self.flow.name, config=self.config, tags=self.tags, labels=labels
            )
        )
        artifacts: dict[str, Artifact] = {}
        try:
            with self.workspace.store.live.track(self.id) as mark_in_use:
                for node in nodes:
                    inputs = {
                        slot: [artifacts[name] for name in names] for slot, names in node.inputs.items()
                    }
                    artifacts[node.name] = self._get_or_run(node, inputs, mark_in_use)
            status = "finished"
        except STOPPED:
            status = "killed"
            raise
        finally:
            emit = self.emit if status == "finished" else self._emit_failure
            emit(RunEnded(run=self.id, status=status, seconds=time.time() - started))
        return artifacts

    def _get_or_run(
        self, node: Node, inputs: Mapping[str, Sequence[Artifact]], mark_in_use: Callable[[str], None]
    ) -> Artifact:
        """The node's artifact: from the cache, or made under the lock of its key."""
        key_inputs = cache_key_inputs(node, self.flow.seed_of(node), inputs)
        key, store = key_of(key_inputs), self.workspace.store
        forced = node.name in self.selection.force
        mark_in_use(key)
        folder = None if forced else store.find(key, self._warner(node))
        if folder is None:
            with store.lock(key, self._waiter(node)):
                if forced and not store.forget(key, self.id):
                    raise ConfigError(f"--force {node.name}: another run uses its result; wait for it to end")
                # Another process may have made it while this one waited.
                folder = store.find(key, self._warner(node), locked=True)
                if folder is None:
                    if self.selection.only and node.name not in self.selection.only:
                        self._raise_missing(node)
                    return self._run_stage(node, inputs, key_inputs, key)
        manifest = read_manifest(folder)
        self.emit(
            StageCached(
                run=self.id,
                stage=node.name,
                key=key,
                folder=str(folder),
                digest=manifest["digest"],
                maker=manifest["maker"],
            )
        )
        try:
            self.workspace.set_latest(self.flow.name, node.name, folder)
        except OSError as cause:
            raise StageFailed(node.name, cause) from cause
        stamp = {"run": self.id, "stage": node.name}
        context = StageContext(folder, folder, self.flow.seed_of(node), "cpu", self.emit, stamp)
        node.stage.on_cached(self._build_inputs(node, inputs), node.config, context)
        return node.stage.makes.open(folder, node.name)

    def _run_stage(
        self, node: Node, inputs: Mapping[str, Sequence[Artifact]], key_inputs: Mapping[str, Any], key: str
    ) -> Artifact:
        """Run a stage and seal its artifact. Call under the lock of its key. Raises StageFailed."""
        store, device = self.workspace.store, self.device()
        resumed = store.resumable(key)
        workdir = store.start(key)
        clock, sources = WorkClock(workdir), _Sources(node, key_inputs["sources"])
        ended = partial(StageEnded, run=self.id, stage=node.name)
        self._emit_started(node, inputs, key_inputs, key, resumed)
        try:
            seed, stamp = self.flow.seed_of(node), {"run": self.id, "stage": node.name}
            context = StageContext(
                workdir.out,
                workdir.scratch,
                seed,
                device,
                self._recorder(workdir, clock),
                stamp,
                sources.check,
                store.memo(node.stage.name),
            )
            node.stage.run(self._build_inputs(node, inputs), node.config, context)
            sources.check_once()
            clock.save()
            record = self._record(node, clock, device, resumed)
            folder, digest = store.finish(key, workdir, key_inputs, self.id, record)
            self.workspace.set_latest(self.flow.name, node.name, folder)
            store.share(key, self._warner(node))
        except BaseException as cause:
            with suppress(OSError):
                clock.save()
            if sources.changed():
                store.discard(workdir)  # its checkpoints may not match the sources in its key
            elif resumed and isinstance(cause, Exception):
                cause.add_note(RESUMED_NOTE)
            status: Status = "killed" if isinstance(cause, STOPPED) else "failed"
            self._emit_failure(ended(status=status, seconds=clock.seconds, error=str(cause)))
            if isinstance(cause, Exception):
                raise StageFailed(node.name, cause) from cause
            raise
        self.emit(ended(status="finished", seconds=record["seconds"], folder=str(folder), digest=digest))
        return node.stage.makes.open(folder, node.name)

    def _emit_started(
        self,
        node: Node,
        inputs: Mapping[str, Sequence[Artifact]],
        key_inputs: Mapping[str, Any],
        key: str,
        resumed: bool,
    ) -> None:
        self.emit(
            StageStarted(
                run=self.id,
                stage=node.name,
                kind=node.stage.name,
                key=key,
                config=key_inputs["config"],
                inputs={slot: ",".join(a.digest for a in found) for slot, found in inputs.items()},
                upstream={slot: ",".join(a.maker for a in found) for slot, found in inputs.items()},
                resumed=resumed,
                labels=node.labels,
            )
        )

    def _record(self, node: Node, clock: WorkClock, device: str, resumed: bool) -> dict[str, Any]:
        """Content of `record/run.json`: how the artifact was made."""
        return {
            "run": self.id,
            "pipeline": self.flow.name,
            "tags": dict(self.tags),
            "stage": node.name,
            "started": clock.started,
            "seconds": clock.seconds,
            "processor_seconds": clock.processor_seconds,
            "peak_memory": peak_memory(),
            "device": device,
            "resumed": resumed,
        }

    def _emit_failure(self, event: Event) -> None:
        """Emit an end event while an exception is being raised, which takes precedence: a full disk would fail here
        too."""
        with suppress(OSError):
            self.emit(event)

    def _build_inputs(self, node: Node, inputs: Mapping[str, Sequence[Artifact]]) -> Any:
        slots = node.stage.slots()
        return node.stage.inputs(
            **{
                slot: tuple(artifacts) if slots[slot].several else artifacts[0]
                for slot, artifacts in inputs.items()
            }
        )

    def _recorder(self, workdir: WorkDir, clock: WorkClock) -> Sink:
        """A sink that also appends metrics to the work folder, so that they survive this process."""

        def record(event: Event) -> None:
            if isinstance(event, Metrics):
                entry = {"step": event.step, **event.values}
                with self._emit_lock, workdir.metrics.open("a") as stream:
                    stream.write(json.dumps(entry) + "\n")
                    clock.save()
            self.emit(event)

        return record

    def _warner(self, node: Node) -> Callable[[str], None]:
        return lambda message: self.emit(
            Noted(run=self.id, stage=node.name, level="warning", message=message)
        )

    def _waiter(self, node: Node) -> Callable[[], None]:
        message = f"another process is making `{node.name}`; waiting for it"
        return lambda: self.emit(Noted(run=self.id, stage=node.name, level="info", message=message))

    def _raise_missing(self, node: Node) -> NoReturn:
        only, plural = self.selection.only, len(self.selection.only) > 1
        raise ConfigError(
            f"--only {' --only '.join(only)}: {'their' if plural else 'its'} input `{node.name}` does not exist yet; "
            f"use {f'--only {node.name} besides' if plural else f'--until {only[0]}'}"
        )


@dataclass
class _Sources:
    """The user's files that a node reads; checks that they still match its key."""

    node: Node
    digests: Mapping[str, str]
    checked: bool = False

    def changed(self) -> list[str]:
        """Names of files that were changed, removed or added; empty once all were read and checked."""
        if self.checked:
            return []
        try:
            now = self.node.stage.fingerprint(self.node.config)
        except (OSError, ValueError):  # removed
            return sorted(self.digests)
        names = self.digests.keys() | now.keys()
        return sorted(name for name in names if self.digests.get(name) != now.get(name))

    def check(self) -> None:
        """Raise SourcesChangedError if any file has changed since the key was computed."""
        if names := self.changed():
            raise SourcesChangedError(
                f"{', '.join(names[:3])} changed while `{self.node.name}` was reading; its work was discarded, "
                "run it again"
            )
        self.checked = True

    def check_once(self) -> None:
        """The same, unless the stage has already called it through `StageContext.sources_read`."""
        if not self.checked:
            self.check()
