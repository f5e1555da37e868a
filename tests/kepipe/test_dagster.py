"""A pipeline in Dagster: materialised in kepipe's store, cached, checked, and started by schedules and sensors."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
import pytest

from kepipe.config import ConfigError
from kepipe.dagster.assets import NoValues
from kepipe.flow import schedules
from kepipe.flow.artifact import read_manifest
from kepipe.flow.dagster import definitions
from kepipe.flow.schedule import Schedule
from kepipe.flow.triggers.after import After
from kepipe.flow.triggers.cron import Cron
from kepipe.flow.triggers.when_changed import WhenChanged
from kepipe.stages.champion import evaluate_pair
from kepipe.tracking.delivery import deliver_pending
from kepipe.tracking.store import connect
from tests.support.kepipe_run import ROOT

pytestmark = pytest.mark.filterwarnings("ignore:schedule each-second")

PIPELINE = """\
name: dag-test
graph: {source: native, path: .}
corpus: {source: folder, path: texts, held_out: 0.4}
stages:
  link: {spacy_model: null, workers: 1}
  shards: {tokenizer: {from: minilm}}
  pretrain:
    base: {family: bert, layers: 1, hidden: 32, heads: 2}
    length: 48
    steps: 2
    batch_tokens: 512
  evaluate: {context: 64, probes: [mlm-loss]}
  register: {name: dag-test, inputs: {model: pretrain}}
"""
STAGES = ("graph", "corpus", "link", "shards", "pretrain", "evaluate", "register")
LIMITS = {"evaluate": {"pretrain/mlm_loss/tokens": 5.0, "mlm_loss/mentions": 1000.0}}


@dataclass(frozen=True)
class Project:
    """The project of `kepipe init` with the pipeline above, and a workspace with three schedules of it."""

    folder: Path
    instance: dg.DagsterInstance

    @property
    def pipeline(self) -> Path:
        return self.folder / "dag-test.yaml"

    @property
    def workspace(self) -> Path:
        return self.folder / "workspace"

    def definitions(self, **options: object) -> dg.Definitions:
        return definitions(self.pipeline, workspace=self.workspace, **options)  # type: ignore[arg-type]

    def run(self, *names: str, limits: object = None) -> dg.ExecuteInProcessResult:
        """Materialise some stages, or all, and check them."""
        job = self.definitions(limits=limits).resolve_job_def("dag_test")
        chosen = [dg.AssetKey(["dag-test", name]) for name in names]
        return job.execute_in_process(
            instance=self.instance, raise_on_error=False, asset_selection=chosen or None
        )


def metadata(result: dg.ExecuteInProcessResult) -> dict[str, dict[str, object]]:
    """Stage → metadata of its materialisation."""
    return {
        event.materialization.asset_key.path[1]: {
            name: value.value for name, value in event.materialization.metadata.items()
        }
        for event in result.get_asset_materialization_events()
    }


def checks(result: dg.ExecuteInProcessResult) -> dict[tuple[str, str], dg.AssetCheckEvaluation]:
    return {(each.asset_key.path[1], each.check_name): each for each in result.get_asset_check_evaluations()}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Project]:
    folder = tmp_path_factory.mktemp("dagster")
    shutil.copytree(ROOT / "docs" / "example", folder, dirs_exist_ok=True)
    (folder / "dag-test.yaml").write_text(PIPELINE)
    with pytest.MonkeyPatch.context() as patch, dg.instance_for_test() as instance:
        patch.setenv("KEPIPE_TRACKING", "off")
        for variable in ("KEPIPE_WORKSPACE", "KEPIPE_STORE", "MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI"):
            patch.delenv(variable, raising=False)
        made = Project(folder, instance)
        add_schedules(made)
        yield made


def add_schedules(project: Project) -> None:
    for name, schedule in {
        "nightly": {
            "when": Cron(cron="0 2 * * *", zone="Europe/Berlin"),
            "overrides": ("seed=7",),
            "retries": 2,
            "timeout": 60.0,
        },
        "each-second": {"when": Cron(cron="* * * * * *")},
        "then": {"when": After(after="nightly")},
        "arrivals": {"when": WhenChanged(every=5)},
    }.items():
        schedules.add(
            project.workspace, name, Schedule.model_validate({"pipeline": str(project.pipeline), **schedule})
        )


def test_dagster_materialises_caches_and_checks_a_pipeline(project: Project) -> None:
    first = project.run(limits=LIMITS)
    assert first.success
    made = metadata(first)
    assert tuple(made) == STAGES
    latest = project.workspace / "dag-test" / "pretrain"
    digest = read_manifest(latest)["digest"]
    assert made["pretrain"]["folder"] == str(latest.resolve())
    assert made["pretrain"]["digest"] == digest
    assert float(str(made["pretrain"]["seconds"])) > 0
    assert made["pretrain"]["final_held_out_loss"]
    assert made["pretrain"]["cached"] is False
    event = project.instance.get_latest_materialization_event(dg.AssetKey(["dag-test", "pretrain"]))
    assert event is not None
    assert event.asset_materialization is not None
    assert event.asset_materialization.tags is not None
    assert event.asset_materialization.tags["dagster/data_version"] == digest
    stored = [file for file in Path(project.instance.storage_directory()).rglob("*") if file.is_file()]
    assert {file.parent.name for file in stored} == {"compute_logs"}, "Dagster has stored a value"

    evaluated = checks(first)
    assert evaluated["pretrain", "stored_files"].passed
    assert evaluated["evaluate", "limit_mlm_loss_mentions"].passed
    limit = evaluated["evaluate", "limit_pretrain_mlm_loss_tokens"]
    assert not limit.passed
    assert "the limit is at most 5" in str(limit.description)
    gate = evaluated["register", "gate"]
    assert not gate.passed
    assert "kepipe track sync" in str(gate.description)

    deliver_pending(project.workspace, connect(project.workspace), evaluate_pair)
    second = project.run("graph", "pretrain", "register")
    assert second.success
    made = metadata(second)
    assert tuple(made) == ("graph", "pretrain", "register")
    assert all(values["cached"] for values in made.values())
    assert "/#/experiments/" in str(made["pretrain"]["mlflow"])
    assert checks(second)["register", "gate"].passed
    assert "first champion" in str(checks(second)["register", "gate"].description)

    offer = project.workspace / "dag-test" / "register" / "offer.json"
    offer.write_text(offer.read_text() + " ")
    made_now = project.definitions()
    third = dg.materialize(
        [*(made_now.assets or ()), *(made_now.asset_checks or ())],  # type: ignore[list-item]
        selection=dg.AssetSelection.checks_for_assets(["dag-test", "register"]),
        instance=project.instance,
        resources={"kepipe_values": NoValues()},
    )
    found = checks(third)["register", "stored_files"]
    assert not found.passed
    assert "content does not match its digest" in str(found.description)


def test_dagster_asset_value_cannot_be_loaded(project: Project) -> None:
    @dg.asset(ins={"model": dg.AssetIn(key=["dag-test", "pretrain"])})
    def reader(model: object) -> None: ...

    with pytest.raises(TypeError, match="dag-test/pretrain has no value in Dagster: name it in `deps`"):
        dg.materialize(
            [reader, *project.definitions().assets],  # type: ignore[misc]
            selection=[reader],
            instance=project.instance,
            resources={"kepipe_values": NoValues()},
        )


def test_stage_with_missing_inputs_says_what_to_select(project: Project) -> None:
    job = definitions(project.pipeline, workspace=project.folder / "empty").resolve_job_def("dag_test")
    chosen = [dg.AssetKey(["dag-test", name]) for name in ("link", "shards")]
    ended = job.execute_in_process(raise_on_error=False, asset_selection=chosen)
    (failure,) = [event for event in ended.all_events if event.is_step_failure]
    assert "their input `graph` does not exist yet" in str(failure.step_failure_data.error)


def test_dagster_sensor_requests_one_run_per_change(project: Project) -> None:
    sensor = project.definitions().resolve_sensor_def("dag_test_changed")
    cursor: str | None = None

    def tick() -> dg.SensorExecutionData:  # type: ignore[name-defined]
        nonlocal cursor
        with dg.build_sensor_context(project.instance, cursor=cursor) as context:
            found = sensor.evaluate_tick(context)
        cursor = found.cursor
        return found

    assert "a change was seen" in tick().skip_message
    assert len(tick().run_requests) == 1  # as `kepipe schedule add --when-changed`: once at first
    assert tick().skip_message == "nothing has changed"
    text = project.folder / "texts" / "new.txt"
    text.write_text("Io orbits Jupiter.")
    assert "a change was seen" in tick().skip_message
    (request,) = tick().run_requests
    assert request.tags["kepipe/reason"] == "1 new: corpus/new.txt"
    assert not tick().run_requests
    text.unlink()


def test_workspace_schedules_become_dagster_schedules(project: Project) -> None:
    with pytest.warns(UserWarning, match="each-second: Dagster has no times within a minute"):
        made = project.definitions()
    nightly = made.resolve_schedule_def("dag_test_nightly")
    assert (nightly.cron_schedule, nightly.execution_timezone) == ("0 2 * * *", "Europe/Berlin")
    job = made.resolve_job_def("dag_test_nightly_job")
    (step,) = job.run_config["ops"]  # type: ignore[index]
    assert job.run_config["ops"][step]["config"] == {"set": ["seed=7"], "force": [], "timeout": 60.0}  # type: ignore[index]
    assert job.run_tags["kepipe/schedule"] == "nightly"
    assert {sensor.name for sensor in made.sensors or ()} == {
        "dag_test_changed",
        "dag_test_arrivals",
        "dag_test_then",
    }


def test_dagster_run_follows_another_schedules_success(project: Project) -> None:
    sensor = project.definitions().resolve_sensor_def("dag_test_then")
    assert isinstance(sensor, dg.RunStatusSensorDefinition)

    @dg.job
    def other() -> None: ...

    def follow(tags: dict[str, str]) -> object:
        ended = other.execute_in_process(instance=project.instance, tags=tags)
        context = dg.build_run_status_sensor_context(
            "dag_test_then", ended.get_run_success_event(), project.instance, ended.dagster_run
        )
        return sensor(context)

    assert isinstance(follow({"kepipe/schedule": "nightly"}), dg.RunRequest)
    assert isinstance(follow({}), dg.SkipReason)


def test_failed_sensor_check_starts_nothing_and_explains(project: Project, tmp_path: Path) -> None:
    pipeline = tmp_path / "dag-test.yaml"
    shutil.copytree(ROOT / "docs" / "example", tmp_path, dirs_exist_ok=True)
    pipeline.write_text(PIPELINE)
    sensor = definitions(pipeline, workspace=tmp_path / "workspace").resolve_sensor_def("dag_test_changed")
    pipeline.write_text(PIPELINE.replace("steps: 2", "stepz: 2"))
    with dg.build_sensor_context(project.instance) as context:
        found = sensor.evaluate_tick(context)
    assert not found.run_requests
    assert "stepz" in str(found.skip_message)


def test_every_stage_of_a_study_has_an_asset() -> None:
    made = definitions("k-bert-choices", workspace="unused")
    keys = made.resolve_asset_graph().get_all_asset_keys()
    assert any("." in key.path[1] for key in keys)


def test_invalid_definitions_are_named(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="limits: no stage `evaluat`"):
        project.definitions(limits={"evaluat": {"mlm_loss/tokens": 1.0}})
    other = project.folder / "other.yaml"
    other.write_text(PIPELINE)
    with pytest.raises(ConfigError, match="are both called dag-test"):
        definitions(project.pipeline, other)


def test_dagster_command_loads_pipelines_of_the_environment(project: Project) -> None:
    command = [sys.executable, "-m", "dagster", "definitions", "validate", "-m", "kepipe.flow.dagster"]
    environment = {**os.environ, "DAGSTER_HOME": project.instance.root_directory}
    environment |= {"KEPIPE_PIPELINES": str(project.pipeline), "KEPIPE_WORKSPACE": str(project.workspace)}
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
