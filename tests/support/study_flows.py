"""The nodes of small studies."""

from __future__ import annotations

from pathlib import Path

from kepipe.flow.plan import Flow, Node
from kepipe.pipeline import load
from kepipe.studies.design import Design

STAGES = """
name: p
seed: 5
stages:
  embed: {dim: 8}
  pretrain: {steps: 3, knowledge: ernie-tsinghua}
  evaluate: {}
"""
ARMS = """
study:
  seeds: 2
  arms: {full: {}, plain: {pretrain: {knowledge: null, inputs: {vectors: null}}}, long: {evaluate: {context: 64}}}
  measure: {evaluate: [entity_cloze/mrr, {metric: mlm_loss/tokens, better: higher}], pretrain: final_held_out_loss}
"""


def flow_of(tmp_path: Path, text: str, *assignments: str) -> Flow:
    file = tmp_path / "p.yaml"
    file.write_text(text)
    return load(file, assignments)[0]


def by_name(flow: Flow) -> dict[str, Node]:
    assert len({node.name for node in flow.nodes}) == len(flow.nodes)
    before: set[str] = set()
    for node in flow.nodes:
        assert before >= {name for names in node.inputs.values() for name in names}, node.name
        before.add(node.name)
    return {node.name: node for node in flow.nodes}


def design(flow: Flow) -> Design:
    config = flow.nodes[-1].config
    assert isinstance(config, Design)
    return config
