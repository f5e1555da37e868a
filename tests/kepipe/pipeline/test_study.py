"""The section `study:` → nodes: shared if nothing differs, copied per seed otherwise, with derived controls."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kepipe.config import ConfigError
from kepipe.pipeline import schema
from tests.support.study_flows import ARMS, STAGES, by_name, design, flow_of


def test_study_stages_are_shared_or_copied_per_arm_and_seed(tmp_path: Path) -> None:
    flow = flow_of(tmp_path, STAGES + ARMS)
    nodes = by_name(flow)
    shared = ["graph", "corpus", "link", "shards", "embed"]
    full = [f"{stage}.full.{seed}" for seed in (5, 6) for stage in ("pretrain", "evaluate")]
    plain = [name.replace("full", "plain") for name in full]
    assert set(nodes) == {*shared, *full, *plain, "evaluate.long.5", "evaluate.long.6", "study"}
    assert nodes["evaluate.long.6"].inputs["arms"] == ["pretrain.full.6"]
    assert nodes["pretrain.full.6"].inputs["vectors"] == ["embed"]
    assert "vectors" not in nodes["pretrain.plain.6"].inputs
    seeds = {name: flow.seed_of(node) for name, node in nodes.items()}
    assert (seeds["pretrain.full.5"], seeds["pretrain.full.6"], seeds["evaluate.full.6"]) == (5, 6, 5)
    assert nodes["pretrain.full.6"].labels == {"stage": "pretrain", "arm": "full + long", "seed": "6"}
    assert nodes["embed"].labels == {}
    assert set(flow.nodes[-1].inputs["results"]) == {
        n for n in nodes if n.startswith(("pretrain", "evaluate"))
    }


def test_study_design_lists_arms_seeds_measures_and_changes(tmp_path: Path) -> None:
    found = design(flow_of(tmp_path, STAGES + ARMS))
    assert (found.arms(), found.seeds(), found.reference) == (["full", "plain", "long"], [5, 6], "full")
    assert [(m.name, m.better) for m in found.measures] == [
        ("evaluate/entity_cloze/mrr", "higher"),
        ("evaluate/mlm_loss/tokens", "higher"),
        ("pretrain/final_held_out_loss", "lower"),
    ]
    assert found.tasks == ("evaluate",)  # pretraining has a loss besides
    assert found.changes["plain"] == {"pretrain.knowledge": "none", "pretrain.inputs.vectors": "none"}
    assert next(iter(found.of("long"))).nodes["pretrain"] == "pretrain.full.5"


TUNED = """
name: p
stages:
  tune: {use: finetune, task: classification, data: {train: TRAIN}, base: {from: minilm}}
study: {seeds: 1, arms: {a: {}, b: {tune: {epochs: 1}}}, may_differ: [epochs], measure: {MEASURE}}
"""


@pytest.mark.parametrize(
    ("measure", "message"),
    [
        ("tune: test/accuracy", "`tune` will have no figure `test/accuracy`.*it has dev/accuracy,"),
        ("tune: dev/acuracy", "did you mean `dev/accuracy`"),
        ("tune: [dev/accuracy, dev/f1]", "no figure `dev/f1`"),
    ],
)
def test_unknown_measures_are_reported_before_running(tmp_path: Path, measure: str, message: str) -> None:
    (tmp_path / "train.tsv").write_text("label\ttext_a\n1\tfine\n")
    text = TUNED.replace("TRAIN", str(tmp_path / "train.tsv"))
    flow_of(tmp_path, text.replace("MEASURE", "tune: [dev/accuracy, held_out_accuracy, loss]"))
    with pytest.raises(ConfigError, match=rf"p\.yaml:5: `study\.measure\.tune`: .*{message}"):
        flow_of(tmp_path, text.replace("MEASURE", measure))


@pytest.mark.parametrize(
    ("measure", "message"),
    [
        ("evaluate: entity_cloze/mmr", "did you mean `entity_cloze/mrr`"),
        ("evaluate: graph_quiz/accuracy", "no figure `graph_quiz/accuracy`"),
        ("pretrain: final_heldout_loss", "did you mean `final_held_out_loss`"),
    ],
)
def test_measures_of_probes_and_pretraining_are_known(tmp_path: Path, measure: str, message: str) -> None:
    text = (
        STAGES + "study: {seeds: 1, arms: {a: {}, b: {pretrain: {learning_rate: 0.1}}}, measure: {MEASURE}}\n"
    )
    known = "evaluate: [entity_cloze/by_type/city/mrr, pretrain/mlm_loss/tokens], pretrain: entity_accuracy"
    flow_of(tmp_path, text.replace("MEASURE", known))
    with pytest.raises(ConfigError, match=message):
        flow_of(tmp_path, text.replace("MEASURE", measure))
    asked = text.replace("evaluate: {}", "evaluate: {probes: [graph-quiz]}")
    flow_of(tmp_path, asked.replace("MEASURE", "evaluate: graph_quiz/by_relation/P30/accuracy"))


def test_gate_metric_is_checked_before_running(tmp_path: Path) -> None:
    text = STAGES + "  register: {inputs: {model: pretrain}, gate: {metric: METRIC}}\n"
    flow_of(tmp_path, text.replace("METRIC", "entity_cloze/by_type/city/mrr"))
    with pytest.raises(
        ConfigError, match=r"`stages\.register\.gate\.metric`: .*did you mean `entity_cloze/mrr`"
    ):
        flow_of(tmp_path, text.replace("METRIC", "entity_cloze/mmr"))
    with pytest.raises(ConfigError, match="write `entity_cloze/mrr`"):
        flow_of(tmp_path, text.replace("METRIC", "entity_cloze.mrr"))


def test_arm_changes_also_apply_to_stages_with_like(tmp_path: Path) -> None:
    text = STAGES.replace("  evaluate", "  control: {like: pretrain, objective: mlm}\n  evaluate")
    text += (
        "study: {seeds: [1], arms: {a: {}, b: {pretrain: {learning_rate: 0.1}}}, measure: {control: loss}}\n"
    )
    nodes = by_name(flow_of(tmp_path, text))
    assert nodes["control.b.1"].config.learning_rate == 0.1
    assert nodes["control.a.1"].config.learning_rate != 0.1
    assert nodes["control.a.1"].seed == 1


def test_stage_outside_the_study_keeps_its_inputs(tmp_path: Path) -> None:
    text = STAGES + ARMS.replace("measure: {evaluate: [entity_cloze/mrr, {metric: mlm_loss/tokens, better: higher}], ",
                                 "measure: {").replace(", long: {evaluate: {context: 64}}", "")  # fmt: skip
    nodes = by_name(flow_of(tmp_path, text))
    assert nodes["evaluate"].inputs["arms"] == ["pretrain"]
    assert nodes["pretrain"].labels == {"stage": "pretrain", "arm": "full", "seed": "5"}
    assert {"pretrain.full.6", "pretrain.plain.5"} <= set(nodes)
    assert "pretrain.full.5" not in nodes


def test_equal_arms_share_all_stages(tmp_path: Path) -> None:
    text = STAGES + "study: {seeds: 2, arms: {a: {}, b: }, measure: {pretrain: loss}}\n"
    nodes = by_name(flow_of(tmp_path, text.replace("  evaluate: {}\n", "")))
    assert [name for name in nodes if name.startswith("pretrain")] == ["pretrain.5", "pretrain.6"]


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ("measure: {evalute: x}", r"p\.yaml:9: `study.measure`: there is no stage `evalute`; did you mean"),
        ("measure: {}", r"`study\.measure`"),
        ("measure: {pretrain: loss}\n  arms: {a: {pretrian: {}}}", r"p\.yaml:10: the file has no stage `pretrian`"),
        ("measure: {pretrain: loss}\n  arms: {a: {pretrain: {stepz: 1}}}",
         r"p\.yaml:10: unknown key `study\.arms\.a\.pretrain\.stepz`; did you mean `steps`"),
        ("measure: {pretrain: loss}\n  reference: b\n  arms: {a: {}}", r"`study\.reference`: there is no arm `b`"),
        ("measure: {pretrain: loss}\n  seeds: [1, 1]\n  arms: {a: {}}", r"p\.yaml:10: `study\.seeds`: expected"),
        ("measure: {pretrain: loss}\n  repeat: [lnik]\n  arms: {a: {}}", r"`study\.repeat`.*did you mean `link`"),
        ("measure: {pretrain: loss}\n  controls: [of]\n  arms: {a: {}}", r"there is no arm `of`"),
        ("measure: {embed: x}\n  controls: true", r"none of the measured stages has `knowledge`"),
        ("measure: {pretrain: loss}\n  arms: {1a: {}}", r"arm `1a`: expected a name"),
        ("measure: {pretrain: loss}\n  arms: {a: {}, b: {pretrain: {steps: 9}}}",
         r"`pretrain\.steps` is 3 in arm `a` and 9 in arm `b`.*`may_differ: \[steps\]`"),
        ("measure: {pretrain: loss}", r"there are no arms: add"),
    ],
)  # fmt: skip
def test_invalid_study_is_reported_with_advice(tmp_path: Path, section: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        flow_of(tmp_path, f"{STAGES}study:\n  {section}\n")


def test_stage_with_the_name_of_a_control_is_rejected(tmp_path: Path) -> None:
    text = STAGES.replace(
        "  pretrain", "  embed-shuffled: {use: shuffled-vectors, inputs: {vectors: embed}}\n  pretrain"
    )
    with pytest.raises(
        ConfigError,
        match=r"p\.yaml:6: `embed-shuffled` is the name of a stage that arm `graph-shuffled` adds",
    ):
        flow_of(tmp_path, text + "study: {controls: true, measure: {pretrain: loss}}\n")


def test_shuffled_stage_is_used_only_if_named(tmp_path: Path) -> None:
    text = STAGES.replace(
        "  pretrain", "  wrong: {use: shuffled-vectors, inputs: {vectors: embed}}\n  pretrain"
    )
    nodes = by_name(flow_of(tmp_path, text + "  report: {}\n"))
    assert nodes["report"].inputs["vectors"] == ["embed"]
    assert nodes["wrong"].inputs == {"vectors": ["embed"]}


def test_may_differ_allows_arms_to_differ(tmp_path: Path) -> None:
    text = (
        f"{STAGES}study: {{arms: {{a: {{}}, b: {{pretrain: {{steps: 9}}}}}}, measure: {{pretrain: loss}}}}\n"
    )
    flow = flow_of(tmp_path, text, "study.may_differ=[steps]", "study.seeds=1")
    assert by_name(flow)["pretrain.b.5"].config.steps == 9


def test_schema_describes_the_study() -> None:
    made: dict[str, Any] = schema()
    fields = made["$defs"]["Study"]["properties"]
    assert {"arms", "seeds", "controls", "reference", "measure", "repeat", "may_differ"} == set(fields)
    assert all("description" in entry for entry in fields.values())
