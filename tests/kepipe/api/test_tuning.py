"""A search over a pipeline's settings: validation, interruption, runs in MLflow."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

import kepipe
from kepipe.api.tuning import Tuning
from kepipe.cli import app
from kepipe.config import ConfigError
from kepipe.flow.events import Event, Metrics
from kepipe.flow.plan import Flow
from kepipe.pipeline.workers import has_workers
from kepipe.stages.champion import evaluate_pair
from kepipe.tracking.delivery import deliver_pending
from kepipe.tracking.store import connect
from kepipe.tuning.ranges import read_ranges
from kepipe.tuning.search import Method
from tests.support.own_data import write_project

RANGES = {
    "stages.pretrain.learning_rate": "1e-5..1e-1:log",
    "stages.pretrain.warmup": "[0, 0.5]",
}
MEASURE, BY = "pretrain/final_held_out_loss", "pretrain/held_out_loss"
METHOD = Method(startup=2, seed=1, prune_by=BY)
TRIALS = 5


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A pipeline and a workspace in which the stages before training are cached."""
    folder = tmp_path_factory.mktemp("tuning")
    file = write_project(folder / "project", "en")
    pipeline = yaml.safe_load(file.read_text(encoding="utf-8"))
    wanted = ("link", "shards", "pretrain")
    pipeline["stages"] = {name: pipeline["stages"][name] for name in wanted}
    pipeline["stages"]["pretrain"] |= {"steps": 8, "eval_every": 2, "checkpoint_every": 2, "knowledge": None}
    file.write_text(yaml.safe_dump(pipeline, sort_keys=False))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KEPIPE_TRACKING", "off")
        for variable in ("KEPIPE_WORKSPACE", "MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI"):
            patch.delenv(variable, raising=False)
        kepipe.run(file, workspace=folder / "workspace", until="shards", progress=False)
        shutil.copytree(folder / "workspace", folder / "killed", symlinks=True)
        yield file


def place(project: Path, name: str = "workspace") -> Path:
    return project.parents[1] / name


def tuning(project: Path, method: Method = METHOD) -> Tuning:
    return Tuning.of(project, [], read_ranges(RANGES), MEASURE, None, method)


@pytest.fixture(scope="module")
def whole(project: Path) -> kepipe.TuneResult:
    """Five trials without interruption."""
    return kepipe.tune(project, RANGES, MEASURE, trials=TRIALS, workspace=place(project), method=METHOD)


def test_a_run_with_the_best_settings_reaches_the_best_value(
    project: Path, whole: kepipe.TuneResult, tmp_path: Path
) -> None:
    finished = [trial for trial in whole.trials if trial.status == "finished"]
    assert whole.best.value == min(trial.value for trial in finished if trial.value is not None)
    assert len(finished) >= METHOD.startup
    again = kepipe.run(whole.pipeline, workspace=place(project), progress=False)
    assert again.figure("pretrain", "final_held_out_loss") == whole.best.value
    by_set = kepipe.run(project, set=whole.settings, workspace=place(project), progress=False)
    assert by_set.folders["pretrain"] == again.folders["pretrain"]
    assert (place(project) / "own-en" / "pretrain").resolve() == again.folders["pretrain"]
    pipeline = yaml.safe_load(whole.pipeline.read_text(encoding="utf-8"))
    assert pipeline["stages"]["pretrain"]["learning_rate"] == whole.settings["stages.pretrain.learning_rate"]


def test_a_trial_that_is_worse_than_the_median_is_stopped_early(
    project: Path, whole: kepipe.TuneResult
) -> None:
    pruned = [trial for trial in whole.trials if trial.status == "pruned"]
    assert pruned
    assert all("is worse than the median of earlier trials" in trial.why for trial in pruned)
    trained = list((place(project) / "store").glob("*/*/artifact.json"))
    assert len(trained) == 4 + sum(trial.status == "finished" for trial in whole.trials)


def test_trials_have_the_workers_of_the_variable(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    flows: list[Flow] = []

    def stop(flow: Flow, *_: Any, **__: Any) -> None:
        flows.append(flow)
        raise KeyboardInterrupt

    monkeypatch.setattr("kepipe.api.tuning.Run", stop)
    monkeypatch.setenv("KEPIPE_WORKERS", "3")
    with pytest.raises(KeyboardInterrupt):
        tuning(project).search(tmp_path, 1, lambda _: None)
    (flow,) = flows
    having = [node for node in flow.nodes if has_workers(type(node.config))]
    assert [(node.name, node.config.model_dump()["workers"]) for node in having] == [
        ("link", 3),
        ("shards", 3),
    ]
    monkeypatch.setenv("KEPIPE_WORKERS", "many")
    with pytest.raises(ConfigError, match="--workers many: expected a number of processes"):
        tuning(project)


@pytest.fixture(scope="module")
def continued(project: Path) -> tuple[kepipe.TuneResult, list[int]]:
    """The same trials, killed once in between; and the steps that the interrupted trial logged."""
    heard: list[int] = []

    def kill(event: Event) -> None:
        if isinstance(event, Metrics) and event.run.endswith(".1") and event.step is not None:
            heard.append(event.step)
            if event.step == 4 and heard.count(4) == 1:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tuning(project).search(place(project, "killed"), TRIALS, kill)
    return tuning(project).search(place(project, "killed"), TRIALS, kill), heard


def test_a_search_that_was_killed_ends_with_the_same_trials(
    whole: kepipe.TuneResult, continued: tuple[kepipe.TuneResult, list[int]]
) -> None:
    result, heard = continued
    assert heard == [0, 2, 4, 4, 6, 8]  # it continued from the checkpoint of step 2
    assert result.trials == whole.trials
    assert result.best == whole.best


def test_finished_trials_are_not_repeated_and_more_can_be_added(
    project: Path, whole: kepipe.TuneResult
) -> None:
    def refuse(_: Event) -> None:
        raise AssertionError("nothing is to be done")

    again = tuning(project).search(place(project), TRIALS, refuse)
    assert again.trials == whole.trials
    more = tuning(project).search(place(project), TRIALS + 1, lambda _: None)
    assert more.trials[:TRIALS] == whole.trials
    assert len(more.trials) == TRIALS + 1
    assert (
        tuning(project, Method(startup=2, seed=2)).search(place(project), 1, lambda _: None).folder
        != whole.folder
    )


@pytest.mark.usefixtures("continued")
def test_mlflow_has_the_trials_as_child_runs(project: Path, whole: kepipe.TuneResult) -> None:
    killed = place(project, "killed")
    store = connect(killed)
    deliver_pending(killed, store, evaluate_pair)
    experiment = store.client.get_experiment_by_name("own-en")
    runs = store.client.search_runs([experiment.experiment_id])
    (above,) = (run for run in runs if run.info.run_name.startswith("own-en, tuning own-en-"))
    trials = {
        run.data.tags["kepipe.trial"]: run
        for run in runs
        if run.data.tags.get("mlflow.parentRunId") == above.info.run_id
    }
    assert sorted(trials) == [str(trial.number) for trial in whole.trials]
    for trial in whole.trials:
        run = trials[str(trial.number)]
        assert run.info.run_name == f"trial {trial.number}"
        assert run.info.status == ("FINISHED" if trial.status == "finished" else "KILLED")
        rate = float(trial.settings["stages.pretrain.learning_rate"])
        assert float(run.data.params["stages.pretrain.learning_rate"]) == rate
        stages = [each for each in runs if each.data.tags.get("mlflow.parentRunId") == run.info.run_id]
        assert {each.info.run_name for each in stages} == {"pretrain"}
        assert trial.why == run.data.tags.get("mlflow.note.content", "")
    assert above.info.status == "FINISHED"
    history = store.client.get_metric_history(above.info.run_id, MEASURE)
    values = {metric.step: metric.value for metric in history}
    assert values == {trial.number: trial.value for trial in whole.trials if trial.value is not None}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"measure": "pretrain/final_loss"}, "no figure `final_loss`"),
        ({"measure": "pretrian/final_held_out_loss"}, "no stage `pretrian`; did you mean `pretrain`?"),
        ({"measure": "pretrain"}, "pretrain: expected STAGE/METRIC"),
        ({"ranges": {"stages.pretrain.stepz": "1..3"}}, "unknown key `stages.pretrain.stepz`"),
        ({"ranges": {"stages.pretrain.steps": "[some, many]"}}, "--set-range stages.pretrain.steps=some"),
        ({"measure": "link/mentions", "method": Method(prune_by=BY)}, "`pretrain` comes after `link`"),
    ],
)
def test_errors_are_reported_before_anything_runs(
    project: Path, arguments: dict[str, Any], message: str
) -> None:
    asked = {"ranges": RANGES, "measure": MEASURE} | arguments
    with pytest.raises(ConfigError, match=message):
        kepipe.tune(project, **asked, workspace=place(project, "none"))
    assert not place(project, "none").exists()


def test_the_command_prints_the_best_settings(project: Path, whole: kepipe.TuneResult) -> None:
    ranges = [word for each in read_ranges(RANGES) for word in ("--set-range", f"{each.key}={each.shown}")]
    words = ["--measure", MEASURE, "--prune-by", BY, "--startup", "2", "--seed", "1", "--trials", str(TRIALS)]
    ended = CliRunner().invoke(app, ["tune", str(project), *ranges, *words, "-w", str(place(project))])
    assert ended.exit_code == 0, ended.output
    for key, value in whole.best.settings.items():
        assert f"--set '{key}={value}'" in ended.output
    assert str(whole.pipeline) in ended.output
