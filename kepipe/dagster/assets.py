"""The stages of a pipeline as Dagster's assets: one step of Dagster runs those that are selected.

Results stay in kepipe's store. Assets have no value in Dagster, so nothing of theirs is pickled or unpickled; other
assets read the folder that the metadata name.
"""

# No postponed annotations: Dagster reads the types of a step's parameters as they stand.
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import dagster as dg
from pydantic import Field

from kepipe.dagster.materialization import Materializations
from kepipe.dagster.names import asset_key, identifier
from kepipe.dagster.runs import ProcessRun, RunFailed
from kepipe.flow.events import Event, Metrics, Noted, StageCached, StageEnded, StageStarted
from kepipe.flow.plan import Flow, Node, Workspace

VALUES = "kepipe_values"
"""Key of the IO manager that refuses to store and to load values."""


@dataclass(frozen=True)
class PipelineFile:
    """A pipeline's file with its flow. `overrides`: settings that stand over the file's, as `--set` takes them."""

    file: Path
    flow: Flow
    workspace: Workspace
    overrides: Sequence[str] = ()


class RunSettings(dg.Config):
    """What the Launchpad of Dagster offers for a run of a pipeline."""

    set: list[str] = Field(default_factory=list)
    """Settings over those of the pipeline's file: `stages.pretrain.steps=50`."""
    force: list[str] = Field(default_factory=list)
    """Stages to run again even if they are cached."""
    timeout: float = 0.0
    """Seconds after which the run is stopped; 0: no limit."""


class NoValues(dg.IOManager):
    """Refuses to store and to load."""

    def handle_output(self, context: dg.OutputContext, _value: Any) -> NoReturn:
        raise TypeError(f"{context.asset_key.to_user_string()}: kepipe stores its results itself")

    def load_input(self, context: dg.InputContext) -> NoReturn:
        raise TypeError(
            f"{context.asset_key.to_user_string()} has no value in Dagster: name it in `deps`, and read the `folder` "
            "of its metadata"
        )


def make_assets(pipeline: PipelineFile) -> dg.AssetsDefinition:
    """The assets of a pipeline. A run of some of them is one run of kepipe."""
    flow = pipeline.flow
    nodes = {asset_key(flow, node): node for node in flow.nodes}

    @dg.multi_asset(
        name=f"{identifier(flow.name)}_stages",
        specs=[_spec(flow, key, node) for key, node in nodes.items()],
        can_subset=True,
    )
    def stages(
        context: dg.AssetExecutionContext, config: RunSettings
    ) -> Iterator[dg.MaterializeResult[None]]:
        selected = [node.name for key, node in nodes.items() if key in context.selected_asset_keys]
        run = ProcessRun(
            pipeline.file,
            pipeline.workspace.root,
            _flags(pipeline, config, selected, complete=len(selected) == len(nodes)),
            config.timeout,
        )
        yield from _materialize(context, pipeline, run, frozenset(selected))

    return stages


def _spec(flow: Flow, key: dg.AssetKey, node: Node) -> dg.AssetSpec:
    upstream = {name for names in node.inputs.values() for name in names}
    return dg.AssetSpec(
        key,
        deps=[asset_key(flow, each) for each in flow.nodes if each.name in upstream],
        description=(node.stage.run.__doc__ or "").strip(),
        group_name=identifier(flow.name),
        code_version=str(node.stage.version),
        kinds={"kepipe"},
        tags={"kepipe/stage": node.stage.name},
        metadata={
            "settings": dg.MetadataValue.json(node.config.as_yaml()),
            "seed": flow.seed_of(node),
        },
    ).with_io_manager_key(VALUES)


def _flags(
    pipeline: PipelineFile, config: RunSettings, selected: Sequence[str], *, complete: bool
) -> list[str]:
    """The options of `kepipe run`."""
    only = [] if complete else [("--only", name) for name in selected]
    settings = [("--set", assignment) for assignment in (*pipeline.overrides, *config.set)]
    force = [("--force", name) for name in config.force]
    return [word for option in (*settings, *only, *force) for word in option]


def _materialize(
    context: dg.AssetExecutionContext, pipeline: PipelineFile, run: ProcessRun, selected: frozenset[str]
) -> Iterator[dg.MaterializeResult[None]]:
    """The results of a run, each when it is there and MLflow has a page about it. Raises Failure."""
    done = Materializations(pipeline.flow, pipeline.workspace)
    try:
        for event in run.events():
            if isinstance(event, str) and event:
                context.log.warning(event)
            elif isinstance(event, Event):
                _log(context, event)
            if isinstance(event, StageCached | StageEnded) and event.folder and event.stage in selected:
                done.add(event)
            yield from done.with_link()
    except RunFailed as failure:
        yield from done.rest()
        raise dg.Failure(f"{pipeline.flow.name}: {failure}") from None
    yield from done.rest()


def _log(context: dg.AssetExecutionContext, event: Event) -> None:
    """Show an event in Dagster's log."""
    match event:
        case StageStarted():
            context.log.info(f"{event.stage}: {'resumes' if event.resumed else 'starts'}")
        case StageCached():
            context.log.info(f"{event.stage}: cached, made by run {event.maker}")
        case StageEnded():
            context.log.info(
                f"{event.stage}: {event.status} after {event.seconds:.1f} s {event.error}".rstrip()
            )
        case Noted(level="warning"):
            context.log.warning(f"{event.stage}: {event.message}")
        case Noted():
            context.log.info(f"{event.stage}: {event.message}")
        case Metrics(step=None) if event.values:
            values = ", ".join(f"{name} {value:.4g}" for name, value in event.values.items())
            context.log.info(f"{event.stage}: {values}")
