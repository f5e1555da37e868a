"""Lineage of a result: its inputs, by digest, and theirs, down to the user's files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

from kepipe.flow.artifact import RECORD, CorruptArtifact, Manifest, read_manifest
from kepipe.flow.plan import Workspace
from kg.regular_files import read_json


@dataclass(frozen=True)
class StageResult:
    """A finished stage's folder with its manifest."""

    folder: Path
    manifest: Manifest

    @classmethod
    def open(cls, folder: Path) -> StageResult:
        """The result in a folder. Raises ValueError for a folder that is not an artifact."""
        try:
            return cls(folder.resolve(), read_manifest(folder))
        except CorruptArtifact as reason:
            raise ValueError(str(reason)) from None

    @property
    def digest(self) -> str:
        """Digest of the content."""
        return self.manifest["digest"]

    @property
    def run(self) -> str:
        """Id of the pipeline run that made it."""
        return self.manifest["maker"]

    @property
    def kind(self) -> str:
        """The kind of stage that made it."""
        return str(self.manifest["cache_key_inputs"]["stage"])

    @property
    def settings(self) -> Mapping[str, Any]:
        """The stage's settings."""
        config: Mapping[str, Any] = self.manifest["cache_key_inputs"]["config"]
        return config

    @property
    def sources(self) -> Mapping[str, str]:
        """Name → digest of the user's files and models that the stage read."""
        sources: Mapping[str, str] = self.manifest["cache_key_inputs"]["sources"]
        return sources

    @property
    def version(self) -> int:
        """Version of the stage's code, raised by changes that change results."""
        return int(self.manifest["cache_key_inputs"]["version"])

    @property
    def seed(self) -> int:
        """The stage's random seed."""
        return int(self.manifest["cache_key_inputs"]["seed"])

    @cached_property
    def record(self) -> Mapping[str, Any]:
        """Content of `record/run.json`: `pipeline`, `stage`, `started` (Unix time), `seconds`, `tags` with versions and
        the commit; empty if it is missing."""
        try:
            record = read_json(self.folder / RECORD / "run.json")
        except (OSError, ValueError):
            return {}
        return record if isinstance(record, dict) else {}

    @property
    def stage(self) -> str:
        """The stage's name in the pipeline that made it."""
        return str(self.record.get("stage", self.kind))

    def inputs(self) -> Iterator[tuple[str, str]]:
        """(input, digest) pairs; (`input/name`, digest) for inputs that take several."""
        for slot, digests in self.manifest["cache_key_inputs"]["inputs"].items():
            if isinstance(digests, str):
                yield slot, digests
            else:  # several, with their names
                yield from ((f"{slot}/{name}", digest) for name, digest in digests)


@dataclass(frozen=True)
class LineageNode:
    """A result with its inputs. `made` is None if it is no longer in the store."""

    slot: str
    digest: str
    made: StageResult | None
    inputs: tuple[LineageNode, ...] = ()


def lineage_of(made: StageResult, workspace: Workspace) -> LineageNode:
    """The lineage of a result, from the workspace's store."""
    store = by_digest(workspace)

    @cache
    def inputs(digest: str) -> tuple[LineageNode, ...]:
        found = made if digest == made.digest else store.get(digest)
        given = () if found is None else found.inputs()
        return tuple(LineageNode(slot, one, store.get(one), inputs(one)) for slot, one in given)

    return LineageNode("", made.digest, made, inputs(made.digest))


def nearest_ancestor(digest: str, kind: str, made: Mapping[str, StageResult]) -> StageResult | None:
    """The nearest ancestor of a result, or the result itself, that was made by a stage of a kind (breadth-first).

    None if none is in the store any more. `made`: the return value of `by_digest`.
    """
    waiting, seen = [digest], set[str]()
    while waiting:
        next_ = waiting.pop(0)
        if next_ in seen or next_ not in made:
            continue
        seen.add(next_)
        if made[next_].kind == kind:
            return made[next_]
        waiting += [given for _, given in made[next_].inputs()]
    return None


def by_digest(workspace: Workspace) -> dict[str, StageResult]:
    """The results of a store by digest. Of results with equal content the first by name, but originals before copies (a
    copy has the digest of one of its inputs)."""
    found: dict[str, StageResult] = {}
    copies: set[str] = set()
    for folder in sorted(workspace.store.finished()):
        try:
            made = StageResult.open(folder)
        except ValueError:
            continue  # damaged: `kepipe cache verify` reports it
        is_copy = made.digest in (given for _, given in made.inputs())
        if made.digest not in found or (not is_copy and made.digest in copies):
            found[made.digest] = made
            (copies.add if is_copy else copies.discard)(made.digest)
    return found
