"""The plan: for each stage, whether its work is cached, resumable or to be done, and why."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from kepipe.config import ConfigError, Section, cache_key_fields
from kepipe.files import replacing
from kepipe.flow.artifact import Artifact, CorruptArtifact, hash_json, read_manifest
from kepipe.flow.stage import Stage
from kepipe.flow.store import Store


@dataclass(frozen=True)
class Node:
    """A stage in a pipeline: its name there, its kind, its settings, and which nodes fill its inputs."""

    name: str
    stage: Stage[Any, Any]
    config: Section
    inputs: Mapping[str, Sequence[str]]
    """Input name → names of the nodes before; one name unless the input takes several."""
    seed: int | None = None
    """A seed of its own; None: the pipeline's."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """Where it stands in a study (`arm`, `seed`, `stage`): for people and for tracking, no part of the key."""


@dataclass(frozen=True)
class Flow:
    """A pipeline ready to run: nodes in an order in which each comes after its inputs."""

    name: str
    seed: int
    device: str
    nodes: Sequence[Node]

    def seed_of(self, node: Node) -> int:
        """The seed that a node draws from."""
        return self.seed if node.seed is None else node.seed


Status = Literal["cached", "resumable", "to run"]


@dataclass(frozen=True)
class Step:
    """What will happen to a node, and why. `key` is None while an input is not made yet."""

    node: Node
    status: Status
    why: str
    key: str | None = None


class Workspace:
    """A folder with the store and, for each pipeline, links to the newest artifact of each stage."""

    RESERVED = frozenset({"store", "tracking", "schedule", "mlartifacts", "tuning", "drift"})
    """Names of its folders that are no pipeline's."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.store = Store(root / "store")

    def make(self) -> None:
        """Make the folder where it is not there. Raises ConfigError where it cannot be written."""
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            reason = "" if os.access(self.root, os.W_OK) else "it is not writable"
        except OSError as error:
            reason = str(error.strerror)
        if reason:
            raise ConfigError(f"workspace {self.root}: {reason}; `--workspace DIR` puts it elsewhere")

    def latest(self, pipeline: str, node: str) -> Path:
        """Link to the newest artifact of a stage: where people look for results."""
        return self.root / pipeline / node

    def in_use(self) -> set[Path]:
        """Artifacts to which the newest run of some pipeline points."""
        return {link.resolve() for link in self.root.glob("*/*") if link.is_symlink()}

    def point(self, pipeline: str, node: str, folder: Path) -> None:
        """Let the link of a stage name `folder`, by one rename."""
        link = self.latest(pipeline, node)
        link.parent.mkdir(parents=True, exist_ok=True)
        if link.is_dir() and not link.is_symlink():
            with suppress(OSError):  # not an empty one, which the next line tells of
                link.rmdir()
        with replacing(link, durable=False, concurrent=True) as unfinished:
            unfinished.symlink_to(Path("..") / folder.relative_to(self.root))


def cache_key_inputs(node: Node, seed: int, inputs: Mapping[str, Sequence[Artifact]]) -> dict[str, Any]:
    """All that decides a stage's result. Its hash is the stage's key.

    The names and the order of inputs count only where a stage takes several and tells them apart.
    """
    slots = node.stage.slots()
    digests = {
        slot: [[artifact.name, artifact.digest] for artifact in artifacts]
        if slots[slot].several
        else artifacts[0].digest
        for slot, artifacts in inputs.items()
    }
    return {
        "stage": node.stage.name,
        "version": node.stage.version,
        "seed": seed,
        "config": cache_key_fields(node.config),
        "inputs": digests,
        "sources": dict(node.stage.fingerprint(node.config)),
    }


def key_of(key_inputs: Mapping[str, Any]) -> str:
    """The key of a stage: 20 hex digits of the hash of its `cache_key_inputs`."""
    return hash_json(key_inputs)[:20]


def make_plan(
    flow: Flow, workspace: Workspace, force: Sequence[str], warn: Callable[[str], None]
) -> list[Step]:
    """What a run would do now. Changes nothing but setting damaged artifacts aside."""
    steps: list[Step] = []
    artifacts: dict[str, Artifact] = {}
    for node in flow.nodes:
        pending = [name for names in node.inputs.values() for name in names if name not in artifacts]
        if pending:
            names = list(dict.fromkeys(pending))
            waits = ", ".join(f"`{name}`" for name in names)
            what = f"its inputs {waits} are" if len(names) > 1 else f"its input {waits} is"
            steps.append(Step(node, "to run", f"{what} to be made first"))
            continue
        inputs = {slot: [artifacts[name] for name in names] for slot, names in node.inputs.items()}
        key_inputs = cache_key_inputs(node, flow.seed_of(node), inputs)
        step, folder = _step(node, flow, workspace, key_inputs, node.name in force, warn)
        steps.append(step)
        if folder is not None:
            artifacts[node.name] = node.stage.makes.open(folder, node.name)
    return steps


def _step(
    node: Node,
    flow: Flow,
    workspace: Workspace,
    key_inputs: dict[str, Any],
    forced: bool,
    warn: Callable[[str], None],
) -> tuple[Step, Path | None]:
    key, store = key_of(key_inputs), workspace.store
    if forced:
        if store.resumable(key) and not store.holds(key):
            return Step(node, "resumable", "forced; the attempt at it was interrupted", key), None
        return Step(node, "to run", "forced", key), None
    folder = store.find(key, warn)
    if folder is not None:
        return Step(node, "cached", f"made by run {read_manifest(folder)['maker']}", key), folder
    if store.resumable(key):
        return Step(node, "resumable", "an attempt was interrupted", key), None
    return Step(node, "to run", explain(key_inputs, workspace.latest(flow.name, node.name)), key), None


def explain(key_inputs: Mapping[str, Any], latest: Path) -> str:
    """Why the newest artifact of a stage does not serve: what changed since."""
    try:
        before = read_manifest(latest)["cache_key_inputs"]
    except CorruptArtifact:
        return "its artifact is gone" if latest.is_symlink() else "never made before"
    changes = list(_changes(before, key_inputs))
    return "; ".join(changes) if changes else "its artifact is gone"


def _changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[str]:
    if before["version"] != now["version"]:
        yield f"the stage's version changed, {before['version']} → {now['version']}"
    if before["seed"] != now["seed"]:
        yield f"seed changed, {before['seed']} → {now['seed']}"
    for title in ("config", "inputs", "sources"):
        old, new = dict(leaves(before[title])), dict(leaves(now[title]))
        for name in sorted(old.keys() | new.keys()):
            if old.get(name) == new.get(name):
                continue
            if title == "config":
                yield f"{name} changed, {old.get(name, 'unset')} → {new.get(name, 'unset')}"
            else:
                yield f"{'input' if title == 'inputs' else 'data'} `{name}` changed"


def leaves(value: Any, at: str = "") -> Iterator[tuple[str, Any]]:
    """The values of nested settings with their keys, `base.hidden`."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from leaves(inner, f"{at}.{name}" if at else str(name))
    else:
        yield at, value
