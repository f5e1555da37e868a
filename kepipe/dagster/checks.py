"""Asset checks: stored files are as they were written, figures are within their limits, the gate has promoted."""

# No postponed annotations: Dagster reads the types of a step's parameters as they stand.
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import dagster as dg

from kepipe.dagster.assets import PipelineFile
from kepipe.dagster.names import asset_key, identifier
from kepipe.flow.artifact import Artifact, CorruptArtifact, read_manifest, verify
from kepipe.flow.plan import Node
from kepipe.studies.design import better_by_name
from kepipe.studies.reading import read_figure
from kepipe.tracking.store import StoreUnavailable, connect
from kepipe.tracking.verdicts import find_verdict

if TYPE_CHECKING:
    from kepipe.stages.register import RegisterConfig

Limits = Mapping[str, Mapping[str, float]]
"""Stage → figure of it → the worst value that passes."""
FILES, GATE, LIMIT = "stored_files", "gate", "limit"
REGISTER = "register"
"""The kind of stage that has a gate."""


def make_checks(pipeline: PipelineFile, limits: Limits) -> dg.AssetChecksDefinition:
    """The checks of a pipeline's assets."""
    rows = [row for node in pipeline.flow.nodes for row in _rows(pipeline, node, limits.get(node.name, {}))]

    @dg.multi_asset_check(
        name=f"{identifier(pipeline.flow.name)}_checks", specs=[row.spec for row in rows], can_subset=True
    )
    def checks(context: dg.AssetCheckExecutionContext) -> Iterator[dg.AssetCheckResult]:
        for spec, check in rows:
            if spec.key in context.selected_asset_check_keys:
                passed, severity, why = check()
                yield dg.AssetCheckResult(
                    passed=passed,
                    asset_key=spec.asset_key,
                    check_name=spec.name,
                    severity=severity,
                    description=why,
                )

    return checks


Found = tuple[bool, dg.AssetCheckSeverity, str]
"""Whether a check is passed, how bad it is if not, and the reason."""


class _Row(NamedTuple):
    spec: dg.AssetCheckSpec
    check: Callable[[], Found]


ERROR, WARN = dg.AssetCheckSeverity.ERROR, dg.AssetCheckSeverity.WARN


def _rows(pipeline: PipelineFile, node: Node, limits: Mapping[str, float]) -> Iterator[_Row]:
    """The checks of a stage."""
    key = asset_key(pipeline.flow, node)

    def row(name: str, about: str, check: Callable[[], Found]) -> _Row:
        return _Row(dg.AssetCheckSpec(name, asset=key, description=about), check)

    about = "Every file has the digest with which it was stored."
    yield row(FILES, about, partial(check_files, pipeline, node))
    for figure, limit in limits.items():
        about = f"{figure} is {_side(figure)} {limit:g}."
        yield row(f"{LIMIT}_{identifier(figure)}", about, partial(check_limit, pipeline, node, figure, limit))
    if node.stage.name == REGISTER:
        yield row(GATE, "The registry's gate has promoted the model.", partial(check_gate, pipeline, node))


def check_files(pipeline: PipelineFile, node: Node) -> Found:
    """Whether every file of a stage's newest result has the digest with which it was stored."""
    folder = pipeline.workspace.latest(pipeline.flow.name, node.name).resolve()
    try:
        verify(folder, thorough=True)
    except CorruptArtifact as damage:
        return False, ERROR, f"{damage}: the next run moves it aside and makes it again"
    return True, ERROR, f"{len(read_manifest(folder)['files'])} files"


def check_limit(pipeline: PipelineFile, node: Node, figure: str, limit: float) -> Found:
    """Whether a figure of a stage's newest result is no worse than its limit."""
    try:
        result = Artifact.open(pipeline.workspace.latest(pipeline.flow.name, node.name).resolve(), node.name)
        value = read_figure(result, figure, {each.name: each.name for each in pipeline.flow.nodes}).value
    except (CorruptArtifact, ValueError) as reason:
        return False, ERROR, str(reason)
    passed = value >= limit if better_by_name(figure) == "higher" else value <= limit
    return passed, ERROR, f"{figure} is {value:.4g}; the limit is {_side(figure)} {limit:g}"


def check_gate(pipeline: PipelineFile, node: Node) -> Found:
    """Whether the gate has promoted the model that a stage has offered. A refusal is a warning: the champion stays."""
    config: RegisterConfig = node.config  # type: ignore[assignment]
    offer = pipeline.workspace.latest(pipeline.flow.name, node.name).resolve()
    try:
        verdict = find_verdict(connect(pipeline.workspace.root), config.name, offer)
    except (StoreUnavailable, OSError, ValueError) as reason:
        return False, WARN, f"the gate's decision is not known: {reason}"
    if verdict is None:
        return False, WARN, "MLflow has not been told of the offer yet: `kepipe track sync`"
    return verdict.promoted, WARN, verdict.text


def _side(figure: str) -> str:
    return "at least" if better_by_name(figure) == "higher" else "at most"
