"""A list of training sizes makes several stages: a learning curve, alone and in a study."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from kepipe.config import ConfigError
from kepipe.pipeline import load, with_all_settings
from tests.support.tasks import write_task

STAGES: dict[str, Any] = {
    "finetune": {
        "task": "classification",
        "base": {"layers": 1, "hidden": 32, "heads": 2},
        "tokenizer": "minilm",
        "data": {"train": "train.tsv", "dev": "dev.tsv", "max_train": [20, 50, "all"]},
    },
}


def pipeline(folder: Path, **more: Any) -> Path:
    write_task(folder, "classification", 100, 20)
    stages = {**STAGES, **more.pop("stages", {})}
    file = folder / "p.yaml"
    file.write_text(yaml.safe_dump({"name": "curve", "stages": stages, **more}, sort_keys=False))
    return file


def test_list_of_sizes_makes_one_stage_each(tmp_path: Path) -> None:
    more = {"slow": {"like": "finetune", "learning_rate": 1e-6}, "task-report": {}}
    flow, _ = load(pipeline(tmp_path, stages=more))
    nodes = {node.name: node for node in flow.nodes}
    assert list(nodes) == [
        "finetune-20", "finetune-50", "finetune-all", "slow-20", "slow-50", "slow-all", "task-report",
    ]  # fmt: skip
    assert [nodes[f"slow-{size}"].config.data.max_train for size in (20, 50, "all")] == [20, 50, None]
    assert nodes["slow-20"].config.learning_rate == 1e-6
    assert nodes["task-report"].inputs["models"] == list(nodes)[:-1]


def test_stage_with_one_model_input_gets_the_largest_size(tmp_path: Path) -> None:
    again = {"like": "finetune", "base": None, "tokenizer": None, "data": {"max_train": 10}}
    more = {"again": {**again, "inputs": {"start": "finetune"}}}
    flow, _ = load(pipeline(tmp_path, stages=more))
    nodes = {node.name: node for node in flow.nodes}
    assert nodes["again"].inputs["start"] == ["finetune-all"]
    assert nodes["again"].config.data.max_train == 10


def test_every_size_is_a_task_of_a_study(tmp_path: Path) -> None:
    arms = {"full": {}, "slow": {"finetune": {"learning_rate": 1e-6}}}
    study = {"seeds": 2, "arms": arms, "measure": {"finetune": "dev/accuracy"}}
    flow, _ = load(pipeline(tmp_path, study=study))
    (design,) = (node.config for node in flow.nodes if node.name == "study")
    assert design.tasks == ("finetune-20", "finetune-50", "finetune-all")
    names = [node.name for node in flow.nodes if node.name != "study"]
    assert len(names) == 3 * 2 * 2
    assert "finetune-50.slow.1" in names
    rates = {node.name: node.config.learning_rate for node in flow.nodes if node.name != "study"}
    assert {rates[name] for name in names if ".slow." in name} == {1e-6}
    named = pipeline(tmp_path, study={**study, "repeat": ["finetune"]})
    assert [node.name for node in load(named)[0].nodes] == [node.name for node in flow.nodes]


def test_expanded_file_gives_the_same_stages(tmp_path: Path) -> None:
    file = pipeline(tmp_path)
    whole = with_all_settings(file)
    assert whole["stages"]["finetune"]["data"]["max_train"] == [20, 50, None]
    file.write_text(yaml.safe_dump(whole, sort_keys=False))
    assert [node.name for node in load(file)[0].nodes] == ["finetune-20", "finetune-50", "finetune-all"]


@pytest.mark.parametrize("sizes", [[100, 50], [], [50, 50], ["all", 50]])
def test_sizes_must_increase(tmp_path: Path, sizes: list[Any]) -> None:
    file = pipeline(tmp_path)
    with pytest.raises(ConfigError, match="expected numbers in rising order"):
        load(file, [f"stages.finetune.data.max_train={sizes}"])


def test_stage_with_the_name_of_a_variant_is_rejected(tmp_path: Path) -> None:
    more = {"finetune-20": {"like": "finetune", "data": {"max_train": 5}}}
    with pytest.raises(ConfigError, match="stage `finetune-20` has the name of a variant"):
        load(pipeline(tmp_path, stages=more))
