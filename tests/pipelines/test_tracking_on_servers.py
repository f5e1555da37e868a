"""A pipeline tracked by an MLflow server that keeps runs in PostgreSQL and artifacts in S3, all real servers here."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import mlflow
import pandas as pd
import pytest
from typer.testing import CliRunner

from kepipe.cli import app
from kepipe.tracking.cursor import Cursor, journals
from kepipe.tracking.store import Store, connect
from tests.support.kepipe_run import EXAMPLE
from tests.support.pages import ROOT, fenced
from tests.support.ports import free_port
from tests.support.postgres import postgres, programs
from tests.support.servers import AWS, server
from tests.support.tasks import write_task

PIPELINE = """
name: tracked
graph: {source: native, path: .}
corpus: {source: folder, path: texts, held_out: 0.4}
stages:
  link: {spacy_model: null, workers: 1}
  shards: {tokenizer: {from: minilm}}
  pretrain:
    base: {family: bert, layers: 1, hidden: 32, heads: 2}
    length: 64
    steps: 6
    batch_tokens: 512
  evaluate: {context: 48, probes: [mlm-loss, entity-cloze]}
  opinions:
    use: finetune
    inputs: {start: pretrain}
    task: classification
    data: {train: data/train.tsv, dev: data/dev.tsv, test: data/test.tsv}
    epochs: 3
    learning_rate: 0.005
  register: {name: opinions, inputs: {model: opinions}, gate: {metric: test/accuracy}}
"""
BUCKET = "kepipe"


class Tracked:
    """The pipeline, run and delivered. `away`: what the delivery said while S3 was not there."""

    def __init__(self, folder: Path, store: Store, s3: Any, away: str) -> None:
        self.folder, self.store, self.s3, self.away = folder, store, s3, away

    def scores(self, stage: str) -> dict[str, Any]:
        file = self.folder / "workspace" / "tracked" / stage / "scores.json"
        arms: dict[str, Any] = json.loads(file.read_text())["arms"]
        (scores,) = arms.values()
        return scores

    def run(self, stage: str) -> Any:
        """The MLflow run of a stage."""
        query = f"tags.`kepipe.stage` = '{stage}'"
        (found,) = self.store.client.search_runs([self.store.experiment("tracked")], query)
        return found


@pytest.fixture(scope="module")
def tracked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tracked]:
    pytest.importorskip("psycopg", reason="needs psycopg")
    boto3 = pytest.importorskip("boto3", reason="needs boto3")
    pytest.importorskip("moto", reason="needs moto, an S3 server")
    if (found := programs()) is None:
        pytest.skip("needs PostgreSQL: initdb was not found")
    folder = tmp_path_factory.mktemp("servers")
    before = mlflow.get_tracking_uri(), mlflow.get_registry_uri()
    s3_port, port = free_port(), free_port()
    endpoint, address = f"http://127.0.0.1:{s3_port}", f"http://127.0.0.1:{port}"
    with pytest.MonkeyPatch.context() as patch, postgres(found) as database:
        for name, value in AWS.items():
            patch.setenv(name, value)
        patch.setenv("OMP_NUM_THREADS", "1")
        patch.delenv("MLFLOW_REGISTRY_URI", raising=False)
        command = ["mlflow", "server", "--backend-store-uri", database, "--artifacts-destination", f"s3://{BUCKET}/mlflow",
                   "--workers", "1", "--host", "127.0.0.1", "--port", str(port)]  # fmt: skip
        settings = {
            "MLFLOW_S3_ENDPOINT_URL": endpoint,
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        }
        with server(command, f"{address}/health", folder, **settings):
            patch.setenv("MLFLOW_TRACKING_URI", address)
            patch.setenv("KEPIPE_TRACKING", "off")
            patch.chdir(folder)
            shutil.copytree(EXAMPLE.parent, folder / "project")
            (folder / "project" / "tracked.yaml").write_text(PIPELINE)
            write_task(folder / "project" / "data", "classification", train=60, test=40)
            kepipe("run", "project/tracked.yaml")
            away = kepipe("track", "sync", code=1)
            with server(
                ["moto.server", "-H", "127.0.0.1", "-p", str(s3_port)], f"{endpoint}/moto-api/", folder
            ):
                s3 = boto3.client("s3", endpoint_url=endpoint)
                s3.create_bucket(Bucket=BUCKET)
                kepipe("track", "sync")
                yield Tracked(folder, connect(folder / "workspace"), s3, away)
    mlflow.set_tracking_uri(before[0])
    mlflow.set_registry_uri(before[1])


def kepipe(*words: str, code: int = 0) -> str:
    result = CliRunner().invoke(app, list(words))
    assert result.exit_code == code, result.output
    return result.output


def test_what_ran_while_s3_was_away_is_delivered_once_it_is_there(tracked: Tracked) -> None:
    assert "kepipe: not delivered: " in tracked.away
    (journal,) = journals(tracked.folder / "workspace")
    cursor = Cursor.load(journal, tracked.store.uri)
    assert (cursor.done, cursor.refused) == (True, [])
    value = tracked.scores("evaluate")["mlm_loss"]["tokens"]["value"]
    assert tracked.run("evaluate").data.metrics["pretrain/mlm_loss/tokens"] == pytest.approx(value)


def test_weights_and_tables_lie_in_s3(tracked: Tracked) -> None:
    pages = tracked.s3.get_paginator("list_objects_v2").paginate(Bucket=BUCKET)
    keys = [entry["Key"] for page in pages for entry in page["Contents"]]
    assert len([key for key in keys if key.endswith("/model.safetensors")]) == 1
    assert len([key for key in keys if key.endswith("/eval_results_table.json")]) == 2


def test_mlflow_evaluates_the_registered_model_and_finds_the_values_of_its_scores(tracked: Tracked) -> None:
    """The program of the page about tracking."""
    (program,) = [block for block in fenced(ROOT / "docs" / "tracking.md", "python") if "evaluate" in block]
    names: dict[str, Any] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir("project")
        mlflow.set_experiment("tracked")
        exec(compile(program, "tracking.md", "exec"), names)
    model, found = names["model"], names["result"]
    scores = tracked.scores("opinions")["test"]
    assert 0.5 < found.metrics["accuracy_score"] == pytest.approx(scores["accuracy"]["value"])
    logged = tracked.store.client.get_logged_model(model.model_id)
    assert {"accuracy_score", "test/accuracy"} <= {metric.key for metric in logged.metrics}


def test_the_cases_are_the_table_that_mlflow_shows_of_an_evaluation(tracked: Tracked) -> None:
    table = mlflow.load_table("eval_results_table.json", run_ids=[tracked.run("opinions").info.run_id])
    test = table[table["split"] == "test"]
    accuracy = tracked.scores("opinions")["test"]["accuracy"]["value"]
    assert (test["predicted"] == test["labels"]).mean() == pytest.approx(accuracy)
    clozes = mlflow.load_table("eval_results_table.json", run_ids=[tracked.run("evaluate").info.run_id])
    ranks = [json.loads(each)["pretrain"] for each in clozes["ranks"]]
    mrr = tracked.scores("evaluate")["entity_cloze"]["mrr"]["value"]
    assert (1 / pd.Series(ranks)).mean() == pytest.approx(mrr)
