"""Profiles of a pipeline file: settings for another machine, over the others and under those of the command line."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from kepipe.cli import app
from kepipe.config import ConfigError
from kepipe.pipeline import load, with_all_settings

FILE = """\
name: p
corpus: {source: wikipedia-sample}
stages:
  shards: {tokenizer: {kind: wordpiece, size: 1000}}
  pretrain:
    base: {family: bert, size: mini}
    steps: 10
profiles:
  gpu:
    device: cuda
    stages:
      pretrain:
        base: {size: base}
        steps: 1000
  wrong:
    stages:
      pretrain:
        stepps: 5
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "p.yaml").write_text(FILE)
    return tmp_path / "p.yaml"


def pretraining(file: Path, *assignments: str) -> tuple[str, Any]:
    flow, _ = load(file, assignments)
    return flow.device, next(node.config for node in flow.nodes if node.name == "pretrain")


def test_profile_overrides_the_file_and_set_overrides_the_profile(file: Path) -> None:
    device, config = pretraining(file)
    assert (device, config.base.size, config.steps) == ("auto", "mini", 10)
    device, config = pretraining(file, "stages.pretrain.steps=7", "profile=gpu")
    assert (device, config.base.family, config.base.size, config.steps) == ("cuda", "bert", "base", 7)
    complete = with_all_settings(file, ["profile=gpu"])
    assert complete["device"] == "cuda"
    assert complete["stages"]["shards"]["tokenizer"]["size"] == 1000


def test_file_may_select_its_profile(file: Path) -> None:
    file.write_text(f"{FILE}profile: gpu\n")
    assert pretraining(file)[1].steps == 1000
    assert pretraining(file, "profile=null")[1].steps == 10


def test_invalid_profiles_are_reported_with_the_line(file: Path) -> None:
    with pytest.raises(ConfigError, match=re.escape("p.yaml:18: unknown key `stages.pretrain.stepps`")):
        load(file, ["profile=wrong"])
    with pytest.raises(ConfigError, match=r"p\.yaml:8: no profile `gpus`: there are gpu, wrong.*gpu"):
        load(file, ["profile=gpus"])
    file.write_text("name: p\nstages: {}\nprofiles: {gpu: 3}\n")
    with pytest.raises(ConfigError, match=r"p\.yaml:3: `profiles\.gpu`: expected a group of settings"):
        load(file, ["profile=gpu"])
    file.write_text("name: p\nstages: {}\n")
    with pytest.raises(ConfigError, match="no profile `gpu`: the file has none"):
        load(file, ["profile=gpu"])


def test_profile_option_of_run_and_plan(file: Path, tmp_path: Path) -> None:
    """`run --dry-run` and `plan` have the same output."""
    shown = [
        CliRunner().invoke(app, [*command, str(file), "--profile", name, "-w", str(tmp_path / "w")])
        for command, name in ((["plan"], "gpu"), (["run", "--dry-run"], "gpu"), (["plan"], "cpu"))
    ]
    assert [result.exit_code for result in shown[:2]] == [0, 0], shown[0].output
    assert shown[0].output == shown[1].output
    assert "no profile `cpu`" in str(shown[2].output) + str(shown[2].exception)
