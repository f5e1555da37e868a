"""Jobs, schedules and sensors of a pipeline: those that `kepipe schedule add` has stored, and one for changed sources.

A sensor asks the trigger of kepipe's that a schedule has. What the trigger keeps between checks is the sensor's cursor.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterator
from dataclasses import dataclass

import dagster as dg

from kepipe.config import ConfigError
from kepipe.dagster.assets import PipelineFile, RunSettings
from kepipe.dagster.names import identifier
from kepipe.flow.cron import SHORT
from kepipe.flow.schedule import Schedule
from kepipe.flow.schedules import entries
from kepipe.flow.triggers.after import After
from kepipe.flow.triggers.base import CheckResult, Trigger, TriggerContext
from kepipe.flow.triggers.cron import Cron
from kepipe.flow.triggers.when_changed import WhenChanged
from kepipe.pipeline.sources import sources

SCHEDULE = "kepipe/schedule"
"""Tag of a run: the schedule that asked for it."""
CHANGED = "changed"
"""End of the name of the sensor that every pipeline has."""


@dataclass(frozen=True)
class Timing:
    """The jobs of a pipeline, and what starts them."""

    jobs: list[dg.UnresolvedAssetJobDefinition]
    schedules: list[dg.ScheduleDefinition]
    sensors: list[dg.SensorDefinition]


def make_timing(pipeline: PipelineFile, assets: dg.AssetsDefinition) -> Timing:
    """A job of the whole pipeline with a sensor for changed sources; and for each schedule of the workspace that runs
    this pipeline, a job with a Dagster schedule or a sensor. All are off until they are switched on in Dagster."""
    name = identifier(pipeline.flow.name)
    on_change = Schedule(pipeline=str(pipeline.file), when=WhenChanged())
    job = _job(name, on_change, assets)
    timing = Timing([job], [], [_sensor(f"{name}_{CHANGED}", on_change.when, pipeline, on_change, job)])
    for entry_name, schedule in _stored(pipeline):
        timing_name = f"{name}_{identifier(entry_name)}"
        job = _job(f"{timing_name}_job", schedule, assets, tags={SCHEDULE: entry_name})
        when = schedule.when
        if isinstance(when, Cron):
            if (crontab := _crontab(when)) is None:
                warnings.warn(
                    f"schedule {entry_name}: Dagster has no times within a minute, as {when.cron!r} asks for: left out",
                    stacklevel=2,
                )
                continue
            timing.schedules.append(
                dg.ScheduleDefinition(
                    name=timing_name,
                    job=job,
                    cron_schedule=crontab,
                    execution_timezone=when.zone or _local_zone(),
                )
            )
        elif isinstance(when, After):
            timing.sensors.append(_after(timing_name, when, job))
        else:
            timing.sensors.append(_sensor(timing_name, when, pipeline, schedule, job))
        timing.jobs.append(job)
    return timing


def _stored(pipeline: PipelineFile) -> Iterator[tuple[str, Schedule]]:
    """Names and schedules of the workspace that run this pipeline's file."""
    if not (pipeline.workspace.root / "schedule.sqlite").exists():
        return
    for entry in sorted(entries(pipeline.workspace.root), key=lambda entry: entry.name):
        if entry.pipeline.resolve() == pipeline.file.resolve():
            yield entry.name, entry.schedule


def _job(
    name: str, schedule: Schedule, assets: dg.AssetsDefinition, tags: dict[str, str] | None = None
) -> dg.UnresolvedAssetJobDefinition:
    """A job of all stages with a schedule's settings, retries and timeout."""
    settings = RunSettings(set=list(schedule.overrides), timeout=schedule.timeout or 0.0)
    retries = dg.RetryPolicy(
        max_retries=schedule.retries, delay=schedule.backoff, backoff=dg.Backoff.EXPONENTIAL
    )
    return dg.define_asset_job(
        name,
        selection=dg.AssetSelection.assets(assets),
        config=dg.RunConfig(ops={assets.op.name: settings}),
        op_retry_policy=retries if schedule.retries else None,
        run_tags=tags,
    )


def _crontab(when: Cron) -> str | None:
    """The five fields of a cron expression; None if it has seconds."""
    parts = SHORT.get(when.cron.strip(), when.cron).split()
    if len(parts) == 6 and parts[0] in ("0", "00"):
        parts = parts[1:]
    return " ".join(parts) if len(parts) == 5 else None


def _local_zone() -> str:
    """The machine's time zone, in which `kepipe schedule` reads times; Dagster would take UTC."""
    from tzlocal import get_localzone_name

    return str(get_localzone_name() or "UTC")


def _sensor(
    name: str,
    when: Trigger,
    pipeline: PipelineFile,
    schedule: Schedule,
    job: dg.UnresolvedAssetJobDefinition,
) -> dg.SensorDefinition:
    """A sensor that asks a trigger."""
    overrides = (*pipeline.overrides, *schedule.overrides)

    def tick(context: dg.SensorEvaluationContext) -> dg.SensorResult | dg.SkipReason:
        state = json.loads(context.cursor) if context.cursor else {}
        asked = TriggerContext(pipeline.workspace.root, pipeline.file, overrides, sources, state)
        try:
            found = when.check(asked)
        except (ConfigError, ValueError, OSError) as reason:
            return dg.SkipReason(f"the check failed: {reason}")
        if not found.reason:
            context.update_cursor(json.dumps(dict(found.state)))
            return dg.SkipReason(_why_not(found))
        # Dagster starts a run once for each key, however often a sensor asks.
        after = json.dumps(dict(found.state_after_run), sort_keys=True)
        request = dg.RunRequest(run_key=after, tags={"kepipe/reason": found.reason})
        return dg.SensorResult(run_requests=[request], cursor=after)

    return dg.SensorDefinition(
        name=name,
        evaluation_fn=tick,
        job=job,
        minimum_interval_seconds=round(getattr(when, "every", 30.0)),
        description=f"Runs {pipeline.flow.name} {when.label}.",
    )


def _why_not(found: CheckResult) -> str:
    if found.recheck_soon:
        return "a change was seen: if the next check sees the same content, a run is started"
    return "nothing has changed"


def _after(name: str, when: After, job: dg.UnresolvedAssetJobDefinition) -> dg.SensorDefinition:
    """A sensor that starts a job after each success of another schedule in Dagster."""

    @dg.run_status_sensor(
        name=name,
        run_status=dg.DagsterRunStatus.SUCCESS,
        request_job=job,
        description=f"Runs {when.label}.",
    )
    def follow(context: dg.RunStatusSensorContext) -> dg.RunRequest | dg.SkipReason:
        if context.dagster_run.tags.get(SCHEDULE) != when.after:
            return dg.SkipReason(f"not a run of {when.after}")
        return dg.RunRequest(run_key=context.dagster_run.run_id)

    return follow
