"""Where a result comes from: the results that it was made of, by their digests, down to the user's files."""

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
class Made:
    """A finished stage's folder and its manifest."""

    folder: Path
    manifest: Manifest

    @classmethod
    def open(cls, folder: Path) -> Made:
        """Raises ValueError for a folder that no stage has made."""
        try:
            return cls(folder.resolve(), read_manifest(folder))
        except CorruptArtifact as reason:
            raise ValueError(str(reason)) from None

    @property
    def digest(self) -> str:
        """Of its content."""
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
        """The user's files and models that it was made of → their digests."""
        sources: Mapping[str, str] = self.manifest["cache_key_inputs"]["sources"]
        return sources

    @property
    def version(self) -> int:
        """Of the stage's code: a change of it that changes results has another."""
        return int(self.manifest["cache_key_inputs"]["version"])

    @property
    def seed(self) -> int:
        """Of what was drawn."""
        return int(self.manifest["cache_key_inputs"]["seed"])

    @cached_property
    def record(self) -> Mapping[str, Any]:
        """What was written of the run: `pipeline`, `stage`, `started` (Unix time), `seconds`, `tags` of versions and
        of the commit; empty where it is not there."""
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
        """Slot, or slot and arm, → digest of what was put in."""
        for slot, given in self.manifest["cache_key_inputs"]["inputs"].items():
            if isinstance(given, str):
                yield slot, given
            else:  # several, by their names
                yield from ((f"{slot}/{name}", digest) for name, digest in given)


@dataclass(frozen=True)
class Origin:
    """A result with what it was made of. `made` is None where the store has it no more."""

    slot: str
    digest: str
    made: Made | None
    inputs: tuple[Origin, ...] = ()


def origin_of(made: Made, workspace: Workspace) -> Origin:
    """A result and, in the same way, each result that it was made of, from the workspace's store."""
    store = by_digest(workspace)

    @cache
    def inputs(digest: str) -> tuple[Origin, ...]:
        found = made if digest == made.digest else store.get(digest)
        given = () if found is None else found.inputs()
        return tuple(Origin(slot, one, store.get(one), inputs(one)) for slot, one in given)

    return Origin("", made.digest, made, inputs(made.digest))


def nearest(digest: str, kind: str, made: Mapping[str, Made]) -> Made | None:
    """The result of a kind of stage of which the result of a digest was made, at the fewest removes; itself counts.

    None where none of that kind is in the store any more. `made`: of `by_digest`.
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


def by_digest(workspace: Workspace) -> dict[str, Made]:
    """The results of a store by their digests; of equal ones the first by name, but none that is a copy of its input
    where what it was copied from is there too."""
    found: dict[str, Made] = {}
    copies: set[str] = set()
    for folder in sorted(workspace.store.finished()):
        try:
            made = Made.open(folder)
        except ValueError:
            continue  # damaged: `kepipe cache verify` tells of it
        is_copy = made.digest in (given for _, given in made.inputs())
        if made.digest not in found or (not is_copy and made.digest in copies):
            found[made.digest] = made
            (copies.add if is_copy else copies.discard)(made.digest)
    return found
