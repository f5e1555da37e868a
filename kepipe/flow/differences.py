"""How two results of a stage, or the stages of two runs, differ: settings, inputs, the user's files, seed, code,
metrics."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from kepipe.flow.artifact import Artifact
from kepipe.flow.lineage import StageResult, by_digest
from kepipe.flow.plan import Workspace, leaves


@dataclass(frozen=True)
class Difference:
    """`kind`: "settings", "input", "files", "seed", "code" or "figures", or "stage" for one that only one of two runs
    has; `where`: stage and key. A value that one of the two lacks is None."""

    kind: str
    where: str
    first: Any
    second: Any


def differences(first: StageResult, second: StageResult, workspace: Workspace) -> Iterator[Difference]:
    """Differences between two results and, recursively, between their inputs; the results' own come first. Inputs with
    equal digests are skipped; inputs that are no longer in the store are reported by digest."""
    yield from _between(first, second, by_digest(workspace), set())
    yield from _of("figures", first.stage, _figures(first), _figures(second))


_OF_CODE = ("git.commit", "kepipe.version", ".version")
"""Prefixes and suffixes of the tags that describe the code."""


def _between(
    first: StageResult, second: StageResult, store: Mapping[str, StageResult], seen: set[tuple[str, str]]
) -> Iterator[Difference]:
    stage = first.stage
    yield from _own(stage, first, second)
    mine, others = dict(first.inputs()), dict(second.inputs())
    for slot in dict.fromkeys([*mine, *others]):
        one, other = mine.get(slot), others.get(slot)
        if one == other or (one or "", other or "") in seen:
            continue
        seen.add((one or "", other or ""))
        made, made_other = store.get(one or ""), store.get(other or "")
        if made is None or made_other is None:
            yield Difference("input", f"{stage}.{slot}", _short(one), _short(other))
        else:
            yield from _between(made, made_other, store, seen)


def differences_of_stages(
    first: Mapping[str, StageResult | str], second: Mapping[str, StageResult | str]
) -> Iterator[tuple[str, Difference]]:
    """Differences between the stages of two runs, as (stage, difference) in the order of the first run. A stage is a
    result, or the digest of one that is no longer in the store; inputs that are stages of the runs are not repeated."""
    own = {each if isinstance(each, str) else each.digest for each in [*first.values(), *second.values()]}
    for stage in dict.fromkeys([*first, *second]):
        one, other = first.get(stage), second.get(stage)
        if isinstance(one, StageResult) and isinstance(other, StageResult):
            yield from ((stage, each) for each in _of_a_stage(stage, one, other, own))
        elif _digest(one) != _digest(other):
            yield stage, Difference("stage", stage, _short(_digest(one)), _short(_digest(other)))


def _of_a_stage(
    stage: str, one: StageResult, other: StageResult, own: Collection[str]
) -> Iterator[Difference]:
    if one.folder == other.folder:
        return
    same = one.digest == other.digest  # such as for a setting without effect: who made it does not matter
    yield from (each for each in _own(stage, one, other) if not (same and each.kind == "code"))
    mine, others = dict(one.inputs()), dict(other.inputs())
    for slot in dict.fromkeys([*mine, *others]):
        pair = mine.get(slot), others.get(slot)
        if pair[0] != pair[1] and not all(digest in own for digest in pair if digest is not None):
            yield Difference("input", f"{stage}.{slot}", _short(pair[0]), _short(pair[1]))
    yield from _of("figures", stage, _figures(one), _figures(other))


def _digest(stage: StageResult | str | None) -> str | None:
    return stage.digest if isinstance(stage, StageResult) else stage


def _own(stage: str, first: StageResult, second: StageResult) -> Iterator[Difference]:
    """Differences of two results of a stage, without those of their inputs."""
    if first.kind != second.kind:
        yield Difference("settings", f"{stage}.use", first.kind, second.kind)
    yield from _of("settings", stage, dict(leaves(first.settings)), dict(leaves(second.settings)))
    if first.seed != second.seed:
        yield Difference("seed", stage, first.seed, second.seed)
    if first.version != second.version:
        yield Difference("code", f"{stage}, version of the stage", first.version, second.version)
    yield from _of("code", stage, first.record.get("tags", {}), second.record.get("tags", {}), _OF_CODE)
    yield from _of("files", stage, first.sources, second.sources)


def _of(
    kind: str,
    stage: str,
    first: Mapping[str, Any],
    second: Mapping[str, Any],
    names: tuple[str, ...] = (),
) -> Iterator[Difference]:
    for name in sorted(first.keys() | second.keys()):
        wanted = not names or name.startswith(names) or name.endswith(names)
        same = first.get(name) == second.get(name) or repr(first.get(name)) == repr(
            second.get(name)
        )  # nan is nan
        if wanted and not same:
            yield Difference(kind, f"{stage}.{name}", first.get(name), second.get(name))


def _figures(made: StageResult) -> dict[str, float]:
    """The last value of each metric that the stage logged without a step."""
    artifact = Artifact(made.folder, made.digest)
    return {
        name: value
        for entry in artifact.metrics()
        if entry.get("step") is None
        for name, value in entry.items()
        if name not in ("step", "seconds")
    }


def _short(digest: str | None) -> str | None:
    return None if digest is None else digest[:12]
