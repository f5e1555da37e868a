"""A workspace with a scheduler, runs and a tracking server as processes that can be killed, and what must hold of it
afterwards: nothing lost, nothing promoted twice."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import mlflow.artifacts
import psutil

from kepipe.flow.artifact import read_manifest
from kepipe.flow.events import ModelOffered
from kepipe.flow.firing import read_pending, read_state
from kepipe.flow.journal import read
from kepipe.flow.plan import Workspace
from kepipe.tracking import registry
from kepipe.tracking.cursor import Cursor, journals
from kepipe.tracking.shown_files import shown_files
from kepipe.tracking.store import Store, connect, paginate
from tests.support.kepipe_run import EXAMPLE

PIPELINE = """name: faulty
graph: {source: native, path: .}
corpus: {source: folder, path: texts, held_out: 0.4}
stages:
  link: {spacy_model: null, workers: 1}
  shards: {tokenizer: {from: minilm}}
  pretrain:
    base: {family: bert, layers: 1, hidden: 16, heads: 2}
    length: 32
    steps: 6
    checkpoint_every: 2
    eval_every: 3
    log_every: 1
    batch_tokens: 256
  evaluate: {context: 32, probes: [mlm-loss]}
  register: {name: faulty, inputs: {model: pretrain}, gate: {metric: mlm_loss/tokens}}
"""
LIGHT = PIPELINE.partition("  pretrain:")[0]
"""The stages that need no model, for the suite."""
STORES = ("MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI")
"""Variables that MLflow sets in a process that opens a store: of one workspace, and not of the next."""
QUIET = 2.0
"""Seconds for which nothing may be at work before what happened is looked at."""


@dataclass
class World:
    """A project and its workspace in `folder`. `environment`: of every process that is started. `text`: of the
    pipeline's file."""

    folder: Path
    environment: Mapping[str, str] = field(default_factory=dict)
    text: str = PIPELINE
    scheduler: subprocess.Popen[bytes] | None = None

    def __post_init__(self) -> None:
        if not self.project.exists():
            shutil.copytree(EXAMPLE.parent, self.project)
            (self.project / "p.yaml").write_text(self.text)

    @property
    def project(self) -> Path:
        return self.folder / "project"

    @property
    def workspace(self) -> Path:
        return self.folder / "workspace"

    @property
    def pipeline(self) -> Path:
        return self.project / "p.yaml"

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "kepipe", *arguments, "--workspace", str(self.workspace)]

    def variables(self) -> dict[str, str]:
        own = {name: value for name, value in os.environ.items() if name not in STORES}
        return {**own, "OMP_NUM_THREADS": "1", **self.environment}

    def ask(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """A command that ends by itself, and starts no delivery that continues after it: `track sync` delivers."""
        return subprocess.run(
            self.command(*arguments), capture_output=True, text=True, check=check,
            env={**self.variables(), "KEPIPE_TRACKING": "off"},
        )  # fmt: skip

    def write(self, number: int) -> None:
        """A new text arrives."""
        text = (
            f"Voyager {number} flew past Neptune and its moon Triton in {1900 + number}. Geysers rose there."
        )
        (self.project / "texts" / f"voyager-{number}.txt").write_text(text)

    def serve(self) -> None:
        """Start the scheduler."""
        with (self.folder / "scheduler.log").open("ab") as log:
            self.scheduler = subprocess.Popen(
                self.command("scheduler"),
                stdout=log,
                stderr=log,
                env=self.variables(),
                start_new_session=True,
            )

    def processes(self, words: Sequence[str]) -> list[psutil.Process]:
        """Those of this workspace whose command has the words, one after the other."""
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                line = process.cmdline()
                if str(self.workspace) in line and any(
                    line[at : at + len(words)] == [*words] for at in range(len(line))
                ):
                    found.append(process)
        return found

    @property
    def is_quiet(self) -> bool:
        """Whether no run is pending, running or being delivered, and the last run was of the current content."""
        from kepipe.pipeline.sources import sources

        if read_pending(self.workspace, "faulty") is not None:
            return False
        if self.processes(["kepipe", "run"]) or self.processes(["kepipe", "track"]):
            return False
        return read_state(self.workspace, "faulty").get("fired") == sources(self.pipeline, ())

    def settle(self, patience: float = 1800.0) -> None:
        """Wait until all that has happened has been worked on. Raises TimeoutError."""
        end, quiet = time.monotonic() + patience, 0.0
        while quiet < QUIET:
            if time.monotonic() > end:
                log = (self.folder / "scheduler.log").read_text()[-3000:]
                raise TimeoutError(f"it did not come to rest; the scheduler said: {log}")
            time.sleep(0.25)
            quiet = quiet + 0.25 if self.is_quiet else 0.0

    def end(self) -> None:
        """Stop the scheduler as a service manager does."""
        if self.scheduler is not None and self.scheduler.poll() is None:
            self.scheduler.send_signal(signal.SIGTERM)
            self.scheduler.wait(120)

    def store(self) -> Store:
        """The tracking store, asked from this process."""
        for name in STORES:
            os.environ.pop(name, None)
        os.environ.update(
            {name: value for name, value in self.environment.items() if name.startswith("MLFLOW")}
        )
        return connect(self.workspace)


def wrongs(world: World) -> Iterator[str]:
    """What is not as it should be, once all is at rest and delivered."""
    again = world.ask("run", str(world.pipeline), "--log-json")
    statuses = [json.loads(line) for line in again.stdout.splitlines() if line.startswith("{")]
    anew = [each["stage"] for each in statuses if each["event"] == "StageStarted"]
    if anew:
        yield f"made again although nothing is new: {', '.join(anew)}"
    yield from _damage(world.workspace)
    if "register" not in world.text:
        return
    world.ask("track", "sync")
    yield from _undelivered(world.workspace)
    store = world.store()
    yield from _of_runs(store, world.workspace)
    yield from _of_registry(store, world.workspace)
    yield from _of_artifacts(store)


def _damage(workspace: Path) -> Iterator[str]:
    store = Workspace(workspace).store
    for folder in store.finished():
        if damage := store.damage(folder.name, thorough=True):
            yield str(damage)


def _undelivered(workspace: Path) -> Iterator[str]:
    for journal in journals(workspace):
        cursor = Cursor.load(journal)
        if not cursor.done:
            yield f"{journal.name}: not delivered ({cursor.unavailable or cursor.sent})"
        yield from (f"{journal.name}: refused {each}" for each in cursor.refused)


def _of_runs(store: Store, workspace: Path) -> Iterator[str]:
    """Each journal is one run in MLflow, with one of each stage."""
    experiments = [each.experiment_id for each in store.client.search_experiments()]
    found = paginate(lambda page: store.client.search_runs(experiments, page_token=page, max_results=500))
    tags = [run.data.tags for run in found]
    count = Counter((each.get("kepipe.run"), each.get("kepipe.stage", "")) for each in tags)
    for (run, stage), times in count.items():
        if times > 1 and run:
            yield f"run {run} {stage} stands {times} times in MLflow"
    for journal in journals(workspace):
        if not any(run == journal.stem for run, _ in count):
            yield f"run {journal.stem} is not in MLflow"


def _of_registry(store: Store, workspace: Path) -> Iterator[str]:
    """Every model that was offered is a version, once; every champion was promoted, once."""
    offered = {
        entry.event.digest
        for journal in journals(workspace)
        for entry in read(journal)
        if isinstance(entry.event, ModelOffered)
    }
    versions = registry.versions(store.client, "faulty")
    digests = Counter(each.tags.get("kepipe.digest", "") for each in versions)
    for digest, times in digests.items():
        if times > 1:
            yield f"model {digest[:12]} is {times} versions"
    if lost := offered - digests.keys():
        yield f"{len(lost)} models were offered and are no versions"
    champions = registry.champions(store, "faulty")
    if len(set(champions)) != len(champions):
        yield f"promoted twice: {champions}"
    said = {each.version for each in versions if each.tags.get("kepipe.gate.promoted") == "true"}
    if not said <= set(champions):
        yield f"promoted by the gate: {sorted(said)}, champions in order: {champions}"
    if champions and registry.champion_of(store, "faulty") != champions[-1]:
        yield f"the alias is at {registry.champion_of(store, 'faulty')}, the last champion is {champions[-1]}"


def _of_artifacts(store: Store) -> Iterator[str]:
    """Every file that a finished stage shows is at its run, and every version has its weights, whole."""
    experiment = store.client.get_experiment_by_name("faulty").experiment_id
    found = paginate(lambda page: store.client.search_runs([experiment], page_token=page, max_results=500))
    for run in found:
        if run.info.status == "FINISHED" and (folder := run.data.tags.get("kepipe.folder")):
            there = {each.path for each in store.client.list_artifacts(run.info.run_id)}
            if missing := {file.name for file, place in shown_files(Path(folder)) if place is None} - there:
                yield f"run {run.info.run_name} has no {', '.join(sorted(missing))}"
    for version in registry.versions(store.client, "faulty"):
        place = f"models:/faulty/{version.version}"
        with tempfile.TemporaryDirectory() as scratch:
            copy = Path(mlflow.artifacts.download_artifacts(place, dst_path=scratch))
            weights = [file.read_bytes() for file in copy.rglob("model.safetensors")]
        if weights != [(Path(version.tags["kepipe.folder"]) / "model.safetensors").read_bytes()]:
            yield f"version {version.version}: its weights are not those of the store"


def differs_from_reference(world: World, folder: Path) -> Iterator[str]:
    """Whether a workspace in which nothing ever failed has other results of the same text."""
    reference = World(folder)
    shutil.rmtree(reference.project)
    shutil.copytree(world.project, reference.project)
    subprocess.run(
        reference.command("run", str(reference.pipeline)), check=True, capture_output=True,
        env={**reference.variables(), "KEPIPE_TRACKING": "off"},
    )  # fmt: skip
    for stage in ("graph", "corpus", "link", "shards", "pretrain", "evaluate"):
        if stage not in world.text:
            continue
        digests = [
            read_manifest(Workspace(each.workspace).latest("faulty", stage))["digest"]
            for each in (world, reference)
        ]
        if digests[0] != digests[1]:
            yield f"{stage}: other content than in a workspace where nothing was killed"


@contextmanager
def mlflow_servers(folder: Path, port: int) -> Iterator[dict[str, Server]]:
    """MLflow's own servers on loopback: one keeps runs in SQLite, the other artifacts in a folder."""
    folder.mkdir()
    artifacts = Server(
        folder / "artifacts.log",
        port + 1,
        ["--artifacts-only", "--artifacts-destination", str(folder / "artifacts")],
    )
    root = f"mlflow-artifacts://127.0.0.1:{artifacts.port}/"
    tracking = Server(
        folder / "tracking.log", port,
        ["--backend-store-uri", f"sqlite:///{folder / 'mlflow.db'}", "--default-artifact-root", root,
         "--no-serve-artifacts"],
    )  # fmt: skip
    servers = {"tracking server": tracking, "artifact server": artifacts}
    try:
        for server in servers.values():
            server.start()
        yield servers
    finally:
        for server in servers.values():
            server.kill()


@dataclass
class Server:
    """The process of an MLflow server, killed and started again on the same data."""

    log: Path
    port: int
    options: Sequence[str]
    process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        command = [
            sys.executable, "-m", "mlflow", "server", *self.options, "--workers", "1",
            "--host", "127.0.0.1", "--port", str(self.port),
        ]  # fmt: skip
        environment = {
            **os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
            "MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        }  # fmt: skip
        for name in STORES:
            environment.pop(name, None)
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                command, stdout=log, stderr=log, env=environment, start_new_session=True
            )

    def kill(self) -> None:
        """kill -9 of the server with all its workers."""
        if self.process is not None:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
