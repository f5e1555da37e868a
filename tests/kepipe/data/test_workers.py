"""A corpus is linked and tokenised by the workers of a Dask cluster as by processes of this machine."""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dask
import pytest
from distributed import LocalCluster

import kepipe
from kepipe.config import ConfigError, cache_key_fields
from kepipe.data.workers import ADDRESS, check, connect
from kepipe.flow.artifact import read_manifest
from kepipe.stages.link import LinkConfig
from kepipe.stages.shards import ShardsConfig
from tests.support.kepipe_run import ROOT

PIPELINE = """\
name: dask-test
graph: {source: native, path: .}
corpus: {source: folder, path: long.jsonl, held_out: 0.2}
stages:
  link: {spacy_model: null}
  shards: {tokenizer: {size: 400}}
"""
GOLD = ("Titan", "Saturn"), ("Europa", "Jupiter"), ("Triton", "Neptune"), ("Io", "Jupiter")


@pytest.fixture(scope="module")
def cluster() -> Iterator[LocalCluster]:
    """Two processes with one thread each."""
    with LocalCluster(
        n_workers=2, threads_per_worker=1, host="127.0.0.1", dashboard_address="127.0.0.1:0"
    ) as cluster:
        yield cluster


def write_project(folder: Path) -> None:
    """The example's graph and two chunks of text about it, with some given links."""
    shutil.copytree(ROOT / "docs" / "example", folder)
    ids = {}
    for line in (folder / "entities.jsonl").read_text().splitlines():
        record = json.loads(line)
        ids[record["label"]] = record["id"]
    (folder / "dask-test.yaml").write_text(PIPELINE)
    with (folder / "long.jsonl").open("w") as stream:
        for number in range(1100):
            moon, planet = GOLD[number % 4]
            text = f"{moon} is the moon number {number} of {planet}. It was seen by Galileo near {moon}. " * 2
            gold = [{"start": 0, "end": len(moon), "entity": ids[moon]}]
            given = {"gold": gold} if number % 10 == 0 else {}
            stream.write(json.dumps({"id": f"{number}", "text": text, **given}) + "\n")


def digests(folder: Path, workers: str) -> dict[str, str]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KEPIPE_WORKERS", workers)
        made = kepipe.run(
            folder / "dask-test.yaml", workspace=folder / workers, until="shards", progress=False
        )
    assert len((made.folders["link"] / "documents.jsonl").read_bytes()) > 300_000
    return {stage: read_manifest(made.folders[stage])["digest"] for stage in ("link", "shards")}


def used() -> list[bool]:
    return [f"kepipe.{module}" in sys.modules for module in ("linking.corpus.chunks", "data.encoding")]


def test_a_dask_cluster_writes_the_same_bytes(
    cluster: LocalCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KEPIPE_TRACKING", "off")
    monkeypatch.setattr("kepipe.data.parsed_chunks.CHUNK", 30_000)
    write_project(tmp_path / "project")
    with dask.config.set({ADDRESS: cluster.scheduler_address}):
        assert digests(tmp_path / "project", "dask") == digests(tmp_path / "project", "1")
        with connect() as client:
            assert list(client.run(used).values()) == [[True, True], [True, True]]


def test_a_cluster_whose_tasks_would_share_a_process_is_refused() -> None:
    options: dict[str, Any] = {"host": "127.0.0.1", "protocol": "tcp://", "dashboard_address": "127.0.0.1:0"}
    with (
        LocalCluster(n_workers=1, threads_per_worker=2, processes=False, **options) as cluster,
        dask.config.set({ADDRESS: cluster.scheduler_address}),
        connect() as client,
        pytest.raises(ConfigError, match="has 2 threads: start it with `dask worker --nthreads 1"),
    ):
        check(client)


def test_the_users_settings_name_the_cluster_and_no_pipeline_does() -> None:
    with pytest.raises(ConfigError, match="which cluster"), connect():
        pass
    for config, workers in ((LinkConfig, "dask://stranger:8786"), (ShardsConfig, 0)):
        with pytest.raises(ValueError, match="expected a number of processes, or `dask`"):
            config(workers=workers)


def test_a_stored_result_is_found_whoever_made_it() -> None:
    for config in (LinkConfig, ShardsConfig):
        assert cache_key_fields(config(workers="dask")) == cache_key_fields(config())
