"""The controls of a study: derived from its arms' knowledge, and shuffled per seed."""

from __future__ import annotations

from pathlib import Path

import pytest

from kepipe.config import ConfigError
from kepipe.knowledge.ernie_baidu import ErnieBaidu
from kepipe.knowledge.ernie_tsinghua.settings import ErnieTsinghua
from kepipe.knowledge.triples_as_text.settings import TriplesAsText
from tests.support.study_flows import STAGES, by_name, design, flow_of


def test_study_controls_are_derived_from_the_inputs(tmp_path: Path) -> None:
    text = STAGES + "study: {seeds: 1, controls: true, measure: {evaluate: entity_cloze/mrr}}\n"
    flow = flow_of(tmp_path, text)
    nodes, found = by_name(flow), design(flow)
    controls = ("graph-off", "graph-shuffled", "names-only", "triples-as-text")
    assert found.arms() == ["graph-on", *controls]
    assert (found.reference, found.controls) == ("graph-off", controls)
    assert nodes["pretrain.graph-on.5"].inputs["vectors"] == ["embed"]
    assert "vectors" not in nodes["pretrain.graph-off.5"].inputs
    assert nodes["pretrain.graph-off.5"].config.knowledge == ()
    (shuffled,) = nodes["pretrain.graph-shuffled.5"].inputs["vectors"]
    assert nodes[shuffled].stage.name == "shuffled-vectors"
    assert nodes[shuffled].inputs == {"vectors": ["embed"]}
    assert nodes["evaluate.graph-shuffled.5"].inputs["arms"] == ["pretrain.graph-shuffled.5"]
    (names_only,) = nodes["pretrain.names-only.5"].inputs["vectors"]
    assert nodes[names_only].stage.name == "names-only-vectors"
    assert nodes[names_only].inputs == {"vectors": ["embed"]}
    knowledge = [nodes[f"pretrain.{arm}.5"].config.knowledge for arm in ("graph-on", *controls[1:])]
    assert knowledge[0] == knowledge[1] == knowledge[2] != ()
    as_text = nodes["pretrain.triples-as-text.5"]
    assert knowledge[3] == (TriplesAsText(),)
    assert as_text.inputs["graph"] == nodes["embed"].inputs["graph"]
    assert "vectors" not in as_text.inputs


GRAPH = """
name: p
seed: 5
stages:
  graph: {}
  pretrain: {steps: 3}
  tune:
    use: finetune
    task: classification
    data: {train: p.yaml}
    inputs: {start: pretrain}
    knowledge: {method: k-bert, choice: similar, max_branches: 3}
"""


def test_controls_of_a_method_that_reads_the_graph(tmp_path: Path) -> None:
    """They change the inputs of the stage with the knowledge; the pretraining before it is shared."""
    text = GRAPH + "study: {seeds: 1, controls: true, measure: {tune: dev/accuracy}}\n"
    nodes = by_name(flow_of(tmp_path, text))
    assert [name for name in nodes if name.startswith("pretrain")] == ["pretrain.5"]
    assert nodes["tune.graph-on.5"].inputs["graph"] == ["graph"]
    assert "graph" not in nodes["tune.graph-off.5"].inputs
    for control, kind in {"graph-shuffled": "shuffled-graph", "names-only": "names-only-graph"}.items():
        (wrong,) = nodes[f"tune.{control}.5"].inputs["graph"]
        assert nodes[wrong].stage.name == kind
        assert nodes[wrong].inputs == {"graph": ["graph"]}
    as_text = nodes["tune.triples-as-text.5"]
    assert as_text.config.knowledge == (TriplesAsText(choice="similar"),)  # what both methods have
    assert as_text.inputs["graph"] == ["graph"]


def test_controls_apply_to_all_methods_together(tmp_path: Path) -> None:
    text = STAGES.replace(
        "knowledge: ernie-tsinghua", "knowledge: [{method: ernie-tsinghua, denoising: false}, k-bert]"
    )
    text = text.replace("steps: 3", "steps: 3, length: 64").replace("  embed", "  graph: {}\n  embed")
    text += "study: {seeds: 1, controls: true, measure: {evaluate: entity_cloze/mrr}}\n"
    nodes = by_name(flow_of(tmp_path, text))
    for control, suffix in {"graph-shuffled": "shuffled", "names-only": "names-only"}.items():
        inputs = nodes[f"pretrain.{control}.5"].inputs
        kinds = {slot: [nodes[name].stage.name for name in inputs[slot]] for slot in ("vectors", "graph")}
        assert kinds == {"vectors": [f"{suffix}-vectors"], "graph": [f"{suffix}-graph"]}
    assert {"vectors", "graph"}.isdisjoint(nodes["pretrain.graph-off.5"].inputs)
    as_text = nodes["pretrain.triples-as-text.5"]
    assert as_text.config.knowledge == (TriplesAsText(),)
    assert (as_text.inputs["graph"], as_text.inputs.get("vectors")) == (["graph"], None)


def test_triples_as_text_control_keeps_other_methods(tmp_path: Path) -> None:
    text = STAGES.replace("knowledge: ernie-tsinghua", "knowledge: [ernie-baidu, ernie-tsinghua]")
    nodes = by_name(
        flow_of(tmp_path, text + "study: {seeds: 1, controls: true, measure: {pretrain: loss}}\n")
    )
    assert nodes["pretrain.triples-as-text.5"].config.knowledge == (ErnieBaidu(), TriplesAsText())


def test_controls_of_a_method_that_masks_names(tmp_path: Path) -> None:
    """Names are masked where they are not, or the facts of the linker's graph are read as sentences instead."""
    text = STAGES.replace("knowledge: ernie-tsinghua", "knowledge: {method: ernie-baidu, upstream: true}")
    flow = flow_of(tmp_path, text + "study: {seeds: 1, controls: true, measure: {pretrain: loss}}\n")
    assert design(flow).arms() == ["graph-on", "graph-off", "graph-shuffled", "triples-as-text"]
    nodes = by_name(flow)
    on, off, wrong, as_text = (node for node in flow.nodes if node.labels.get("stage") == "pretrain")
    assert on.config.knowledge == (ErnieBaidu(upstream=True),)
    assert off.config.knowledge == ()
    assert wrong.config.knowledge == (ErnieBaidu(upstream=True, names="moved"),)
    assert wrong.inputs == on.inputs
    assert as_text.config.knowledge == (TriplesAsText(),)
    assert as_text.inputs == {**on.inputs, "graph": nodes["link"].inputs["graph"]}
    assert len({node.config.steps for node in (on, off, wrong, as_text)}) == 1
    with pytest.raises(ConfigError, match="there is no arm `names-only`"):
        flow_of(tmp_path, text + "study: {seeds: 1, controls: [names-only], measure: {pretrain: loss}}\n")


def test_masking_and_facts_are_wrong_together(tmp_path: Path) -> None:
    text = STAGES.replace("knowledge: ernie-tsinghua", "knowledge: [ernie-baidu, ernie-tsinghua]")
    nodes = by_name(
        flow_of(tmp_path, text + "study: {seeds: 1, controls: true, measure: {pretrain: loss}}\n")
    )
    wrong = nodes["pretrain.graph-shuffled.5"]
    assert wrong.config.knowledge == (ErnieBaidu(names="moved"), ErnieTsinghua())
    assert [nodes[name].stage.name for name in wrong.inputs["vectors"]] == ["shuffled-vectors"]


def test_triples_as_text_control_of_masking_beside_triples_as_text(tmp_path: Path) -> None:
    """The text alone is left."""
    text = STAGES.replace(
        "knowledge: ernie-tsinghua", "knowledge: [ernie-baidu, {method: triples-as-text, share: 0.3}]"
    )
    nodes = by_name(
        flow_of(tmp_path, text + "study: {seeds: 1, controls: true, measure: {pretrain: loss}}\n")
    )
    assert nodes["pretrain.triples-as-text.5"].config.knowledge == (TriplesAsText(share=0.3),)


def test_controls_are_shuffled_per_seed_and_can_be_extended(tmp_path: Path) -> None:
    text = STAGES + "study: {seeds: 2, controls: [graph-off, graph-shuffled], measure: {pretrain: loss}, "
    text += "arms: {full: {}, graph-off: {pretrain: {objective: mlm}}}}\n"
    flow = flow_of(tmp_path, text.replace("  evaluate: {}\n", ""))
    nodes = by_name(flow)
    shuffles = {flow.seed_of(node) for node in flow.nodes if node.stage.name == "shuffled-vectors"}
    assert shuffles == {5, 6}
    assert nodes["pretrain.graph-off.5"].config.objective.name == "mlm"
    assert design(flow).arms() == ["full", "graph-off", "graph-shuffled"]


VARIED = """
name: p
stages:
  texts: {use: corpus}
  task: {use: corpus, held_out: 0.3}
  near: {use: neighbours, inputs: {corpus: texts, examples: task}}
  link: {inputs: {corpus: near}}
  embed: {dim: 8}
  pretrain: {steps: 3, knowledge: ernie-tsinghua}
study:
  seeds: 2
  measure: {pretrain: loss}
  controls: [graph-off, graph-shuffled]
"""


def test_stages_outside_repeat_run_once_except_shuffled_controls(tmp_path: Path) -> None:
    def seeds(text: str, stage: str) -> set[int]:
        flow = flow_of(tmp_path, text)
        return {flow.seed_of(node) for node in flow.nodes if node.stage.name == stage}

    assert seeds(VARIED, "neighbours") == {0, 1}, "it draws from the seeds, as what trains does"
    once = VARIED + "  repeat: [pretrain]\n"
    assert seeds(once, "neighbours") == {0}
    assert seeds(once, "pretrain") == seeds(once, "shuffled-vectors") == {0, 1}
    assert seeds(VARIED + "  repeat: [pretrain, near]\n", "neighbours") == {0, 1}
