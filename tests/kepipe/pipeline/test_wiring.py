"""Settings that follow from others, and a pipeline file with all settings written out."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from kepipe.flow.plan import Flow
from kepipe.pipeline import load, with_all_settings
from kepipe.pipeline.shipped import find


def flow_of(tmp_path: Path, text: str) -> Flow:
    file = tmp_path / "p.yaml"
    file.write_text(text)
    return load(file)[0]


def tokenizer_of(flow: Flow) -> str | None:
    (shards,) = (node.config for node in flow.nodes if node.stage.name == "shards")
    return shards.tokenizer.from_


def test_shards_use_the_tokenizer_of_the_trained_base(tmp_path: Path) -> None:
    start = "name: p\nstages:\n"
    assert tokenizer_of(flow_of(tmp_path, f"{start}  pretrain: {{base: {{from: minilm}}}}\n")) == "minilm"
    assert tokenizer_of(flow_of(tmp_path, f"{start}  pretrain: {{}}\n")) is None
    both = "  pretrain: {base: {from: minilm}}\n  fresh: {use: pretrain}\n"
    assert tokenizer_of(flow_of(tmp_path, start + both)) == "minilm"
    own = "  shards: {tokenizer: {size: 30522}}\n  pretrain: {base: {from: minilm}}\n"
    assert tokenizer_of(flow_of(tmp_path, start + own)) is None


BUDGET = """
name: p
stages:
  pretrain: {budget: 90s, objective: {name: mlm, level: phrase}, base: {layers: 1, hidden: 32, heads: 2}}
  control: {like: pretrain, objective: mlm}
  evaluate: {}
  report: {}
"""
STUDY = """
name: p
stages:
  pretrain: {base: {from: minilm}, knowledge: ernie-tsinghua, steps: 3}
  control: {like: pretrain, knowledge: null, inputs: {vectors: null}}
  evaluate: {}
study:
  seeds: 2
  arms: {full: {}, without-dea: {pretrain: {knowledge: {denoising: false}}}}
  measure: {evaluate: mlm_loss/tokens}
"""


TUNED = """
name: p
stages:
  finetune: {task: tagging, base: {from: minilm}, data: {train: p.yaml}}
  register: {inputs: {model: finetune}, gate: {metric: dev/span_f1}}
"""


@pytest.mark.parametrize("text", [BUDGET, STUDY, TUNED])
def test_file_with_all_settings_loads_as_the_same_pipeline(tmp_path: Path, text: str) -> None:
    flow = flow_of(tmp_path, text)
    written = with_all_settings(tmp_path / "p.yaml")
    assert written["stages"].get("pretrain", {}).get("budget") == ("90s" if text == BUDGET else None)
    (tmp_path / "whole").mkdir()
    again = flow_of(tmp_path / "whole", yaml.safe_dump(written, sort_keys=False))
    assert [(node.name, dict(node.inputs)) for node in again.nodes] == [
        (node.name, dict(node.inputs)) for node in flow.nodes
    ]
    assert [node.config for node in again.nodes] == [node.config for node in flow.nodes]


@pytest.mark.parametrize("name", ["quickstart", "bert"])
def test_included_pipeline_with_all_settings_loads(tmp_path: Path, name: str) -> None:
    written = with_all_settings(find(Path(name)))
    assert [node.name for node in flow_of(tmp_path, yaml.safe_dump(written, sort_keys=False)).nodes]


def test_report_does_not_add_an_embed_stage(tmp_path: Path) -> None:
    flow = flow_of(tmp_path, "name: p\nstages:\n  pretrain: {}\n  evaluate: {}\n  report: {}\n")
    assert "embed" not in [node.name for node in flow.nodes]
    (report,) = (node for node in flow.nodes if node.name == "report")
    assert list(report.inputs["vectors"]) == []
    with_them = flow_of(
        tmp_path, "name: p\nstages:\n  embed: {}\n  pretrain: {}\n  evaluate: {}\n  report: {}\n"
    )
    assert with_them.nodes[-1].inputs["vectors"] == ["embed"]
