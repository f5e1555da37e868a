"""`base: {from: "models:/…"}` is short for the stage `champion`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kepipe.config import ConfigError
from kepipe.pipeline import load, with_all_settings

FRESH = "family: bert, layers: 1, hidden: 16, heads: 2"


def nodes_of(tmp_path: Path, stages: str) -> dict[str, Any]:
    file = tmp_path / "p.yaml"
    file.write_text(f"name: p\nstages:\n{stages}")
    return {node.name: node for node in load(file)[0].nodes}


def test_registered_base_adds_a_champion_stage_with_a_fallback(tmp_path: Path) -> None:
    nodes = nodes_of(
        tmp_path,
        "  shards: {tokenizer: {from: minilm}}\n"
        f'  pretrain: {{base: {{from: "models:/moons@champion", {FRESH}, dropout: 0.1}}}}\n',
    )
    assert list(nodes)[-2:] == ["champion", "pretrain"]
    assert dict(nodes["champion"].inputs) == {"corpus": ["corpus"]}
    assert nodes["pretrain"].inputs["start"] == ["champion"]
    assert nodes["pretrain"].config.base.dropout == 0.1
    config = nodes["champion"].config
    assert (config.name, config.at, config.base.hidden, config.tokenizer) == (
        "moons",
        "champion",
        16,
        "minilm",
    )


def test_registered_base_equals_the_explicit_stage(tmp_path: Path) -> None:
    short = nodes_of(
        tmp_path, f'  pretrain: {{base: {{from: "models:/moons@champion", {FRESH}}}, steps: 3}}\n'
    )
    long = nodes_of(
        tmp_path,
        f"  champion: {{name: moons, base: {{{FRESH}}}}}\n"
        "  pretrain: {inputs: {start: champion}, steps: 3}\n",
    )
    for name in ("champion", "pretrain"):
        assert (short[name].config, dict(short[name].inputs)) == (long[name].config, dict(long[name].inputs))


def test_stages_with_the_same_registered_base_share_it(tmp_path: Path) -> None:
    nodes = nodes_of(
        tmp_path,
        "  pretrain: {base: {from: models:/moons/3}}\n"
        "  longer: {like: pretrain, steps: 9}\n"
        "  other: {use: pretrain, base: {from: models:/moons/4}}\n",
    )
    assert nodes["pretrain"].inputs["start"] == nodes["longer"].inputs["start"] == ["champion"]
    assert nodes["other"].inputs["start"] == ["champion-2"]
    assert (nodes["champion"].config.at, nodes["champion-2"].config.at) == ("3", "4")
    assert not nodes["champion"].inputs  # what a number means does not change with the text
    assert with_all_settings(tmp_path / "p.yaml")["stages"]["champion-2"]["at"] == "4"


@pytest.mark.parametrize(
    ("stages", "message"),
    [
        ('  pretrain: {base: {from: "models:/moons"}}\n', "expected models:/NAME@champion or models:/NAME/3"),
        ('  pretrain: {base: {from: "models:/moons@"}}\n', "expected models:/NAME@champion"),
        (
            "  first: {use: pretrain}\n  pretrain: {base: {from: models:/moons/3}, inputs: {start: first}}\n",
            "both give a start model",
        ),
        (
            '  finetune: {task: text-classification, data: {train: p.yaml}, base: {from: "models:/moons@champion"}}\n',
            "an alias is only resolved anew when .* such as `models:/moons/1`",
        ),
    ],
)
def test_invalid_registered_base_is_reported_with_the_line(tmp_path: Path, stages: str, message: str) -> None:
    with pytest.raises(ConfigError, match=rf"p\.yaml:\d+.*{message}"):
        nodes_of(tmp_path, stages)
