"""The plan: for each stage, whether it is cached, resumable or to run, and why."""

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
from kepipe.flow.shared_store import SharedStore
from kepipe.flow.stage import Stage
from kepipe.flow.store import Store


@dataclass(frozen=True)
class Node:
    """A stage of a pipeline: its name, kind and settings, and the nodes that fill its inputs."""

    name: str
    stage: Stage[Any, Any]
    config: Section
    inputs: Mapping[str, Sequence[str]]
    """Input name → names of the upstream nodes; one name unless the input takes several."""
    seed: int | None = None
    """The node's own seed; None: the pipeline's."""
    labels: Mapping[str, str] = field(default_factory=dict)
    """Its `arm`, `seed` and `stage` in a study: for display and tracking, not part of the cache key."""


@dataclass(frozen=True)
class Flow:
    """A pipeline ready to run: its nodes in topological order."""

    name: str
    seed: int
    device: str
    nodes: Sequence[Node]

    def seed_of(self, node: Node) -> int:
        """The seed of a node."""
        return self.seed if node.seed is None else node.seed


MAX_LISTED = 8
"""Maximum number of inputs that are listed by name."""
Status = Literal["cached", "resumable", "to run"]


@dataclass(frozen=True)
class Step:
    """Whether a node will run, and why. `key` is None while an input does not exist yet."""

    node: Node
    status: Status
    why: str
    key: str | None = None


class Workspace:
    """A folder with the store and, for each pipeline, links to the latest artifact of each stage."""

    RESERVED = frozenset({"store", "tracking", "schedule", "mlartifacts", "tuning", "drift"})
    """Names of folders that are reserved, so that no pipeline may have them."""

    def __init__(self, root: Path, shared: str = "") -> None:
        self.root = root
        self.store = Store(root / "store", SharedStore(shared) if shared else None)

    def make(self) -> None:
        """Create the folder if it is missing. Raises ConfigError if it is not writable."""
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            reason = "" if os.access(self.root, os.W_OK) else "it is not writable"
        except OSError as error:
            reason = str(error.strerror)
        if reason:
            raise ConfigError(f"workspace {self.root}: {reason}; choose another with `--workspace DIR`")

    def latest(self, pipeline: str, node: str) -> Path:
        """Link to the latest artifact of a stage."""
        return self.root / pipeline / node

    def in_use(self) -> set[Path]:
        """Artifacts that are the latest ones of some pipeline."""
        return {link.resolve() for link in self.root.glob("*/*") if link.is_symlink()}

    def set_latest(self, pipeline: str, node: str, folder: Path) -> None:
        """Point the link of a stage to `folder`, atomically."""
        link = self.latest(pipeline, node)
        link.parent.mkdir(exist_ok=True)
        if link.is_dir() and not link.is_symlink():
            with suppress(OSError):  # not empty: the rename below raises
                link.rmdir()
        with replacing(link, durable=False, concurrent=True) as unfinished:
            unfinished.symlink_to(Path("..") / folder.relative_to(self.root))


def cache_key_inputs(node: Node, seed: int, inputs: Mapping[str, Sequence[Artifact]]) -> dict[str, Any]:
    """Everything that determines a stage's result. Its hash is the stage's cache key.

    Names and order of inputs are included only for slots that take several.
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
    """What a run would do now. Its only side effect is that damaged artifacts are set aside."""
    steps: list[Step] = []
    artifacts: dict[str, Artifact] = {}
    for node in flow.nodes:
        pending = [name for names in node.inputs.values() for name in names if name not in artifacts]
        if pending:
            steps.append(Step(node, "to run", _waits_for(list(dict.fromkeys(pending)))))
            continue
        inputs = {slot: [artifacts[name] for name in names] for slot, names in node.inputs.items()}
        key_inputs = cache_key_inputs(node, flow.seed_of(node), inputs)
        step, folder = _step(node, flow, workspace, key_inputs, node.name in force, warn)
        steps.append(step)
        if folder is not None:
            artifacts[node.name] = node.stage.makes.open(folder, node.name)
    return steps


def _waits_for(names: Sequence[str]) -> str:
    """The reason of a stage that has to wait: the first inputs of many by name, and the number of the others."""
    listed = ", ".join(f"`{name}`" for name in names[:MAX_LISTED])
    more = f" and {len(names) - MAX_LISTED} more" if len(names) > MAX_LISTED else ""
    return f"waits for its input{'s' if len(names) > 1 else ''} {listed}{more}"


def pull_results(flow: Flow, workspace: Workspace, warn: Callable[[str], None]) -> list[str]:
    """Copy from the shared store the results of a flow that it has. Returns the names of the stages copied."""
    store, copied = workspace.store, list[str]()
    while True:
        steps = make_plan(flow, workspace, (), warn)
        missing = [step for step in steps if step.key is not None and not store.holds(step.key)]
        found = [step for step in missing if _pull(step, store, warn)]
        if not found:
            break
        copied += [step.node.name for step in found]
    for step in make_plan(flow, workspace, (), warn):
        if step.key is not None and store.holds(step.key):
            workspace.set_latest(flow.name, step.node.name, store.folder(step.key))
    return copied


def _pull(step: Step, store: Store, warn: Callable[[str], None]) -> bool:
    assert step.key is not None
    with store.lock(step.key, lambda: None):
        return store.find(step.key, warn, locked=True) is not None


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
            return Step(node, "resumable", "forced; continues an interrupted attempt", key), None
        return Step(node, "to run", "forced", key), None
    folder = store.find(key, warn)
    if folder is not None:
        return Step(node, "cached", f"made by run {read_manifest(folder)['maker']}", key), folder
    if store.is_shared(key, warn):
        return Step(node, "cached", "in the shared store", key), None
    if store.resumable(key):
        return Step(node, "resumable", "an attempt was interrupted", key), None
    return Step(node, "to run", explain(key_inputs, workspace.latest(flow.name, node.name)), key), None


def explain(key_inputs: Mapping[str, Any], latest: Path) -> str:
    """Why the latest artifact of a stage cannot be reused: what changed since."""
    try:
        before = read_manifest(latest)["cache_key_inputs"]
    except CorruptArtifact:
        return "its artifact was removed" if latest.is_symlink() else "has not run before"
    changes = list(_changes(before, key_inputs))
    return "; ".join(changes) if changes else "its artifact was removed"


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
    """Leaf values of nested settings with their dotted keys, `base.hidden`."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from leaves(inner, f"{at}.{name}" if at else str(name))
    else:
        yield at, value
