"""YAML → wired stages: inputs by type, `use`, `like`, implied stages, and located mistakes."""

from __future__ import annotations

import cProfile
import re
from pathlib import Path
from typing import Any

import pytest

from kepipe.config import ConfigError, Settings
from kepipe.pipeline import KINDS, load, schema
from kepipe.pipeline.wiring import wire
from kepipe.stages.pretrain import PretrainConfig

ROOT = Path(__file__).parents[2]


def flow_of(tmp_path: Path, text: str, *assignments: str) -> Any:
    file = tmp_path / "p.yaml"
    file.write_text(text)
    return load(file, assignments)[0]


def test_inputs_are_wired_by_type_and_implied_stages_added(tmp_path: Path) -> None:
    flow = flow_of(tmp_path, "name: p\nstages:\n  pretrain: {steps: 3}\n")
    assert [node.name for node in flow.nodes] == ["graph", "corpus", "link", "shards", "pretrain"]
    wired = {node.name: {slot: list(names) for slot, names in node.inputs.items()} for node in flow.nodes}
    assert wired["pretrain"] == {"shards": ["shards"]}
    assert wired["link"]["corpus"] == ["corpus"]


def test_optional_input_can_be_disabled(tmp_path: Path) -> None:
    more, alone = "{like: pretrain, inputs: {start: pretrain}}", "{like: more, inputs: {start: null}}"
    stages = f"  pretrain: {{}}\n  more: {more}\n  alone: {alone}\n"
    nodes = {node.name: node for node in flow_of(tmp_path, f"name: p\nstages:\n{stages}").nodes}
    assert nodes["more"].inputs["start"] == ["pretrain"]
    assert "start" not in nodes["alone"].inputs


def test_optional_input_is_wired_if_the_settings_need_it(tmp_path: Path) -> None:
    """By its type, as the others are; where nothing makes it, a stage that does is added."""

    def wired(stages: str) -> dict[str, dict[str, list[str]]]:
        nodes = flow_of(tmp_path, f"name: p\nstages:\n{stages}").nodes
        return {node.name: {slot: list(names) for slot, names in node.inputs.items()} for node in nodes}

    fused = "  pretrain: {knowledge: ernie-tsinghua%s}\n"
    nodes = wired("  embed: {}\n" + fused % "")
    assert nodes["pretrain"] == {"shards": ["shards"], "vectors": ["embed"]}
    nodes = wired(fused % "")
    assert list(nodes)[-2:] == ["embed", "pretrain"]
    assert nodes["pretrain"]["vectors"] == ["embed"]
    nodes = wired("  pretrain: {knowledge: {method: k-bert, choice: plausible}}\n")
    assert nodes["pretrain"] == {"shards": ["shards"], "vectors": ["embed"], "graph": ["graph"]}
    assert wired("  graph: {}\n  embed: {}\n  pretrain: {}\n")["pretrain"] == {"shards": ["shards"]}
    two = "  embed: {}\n  other: {use: embed, dim: 8}\n"
    with pytest.raises(ConfigError, match=r"`embed` and `other` each make a Vectors; choose: `inputs:"):
        wired(two + fused % "")
    assert wired(two + fused % ", inputs: {vectors: other}")["pretrain"]["vectors"] == ["other"]
    with pytest.raises(ConfigError, match=r"inputs\.vectors`: ernie-tsinghua needs the vectors of a graph"):
        wired(fused % ", inputs: {vectors: null}")


def test_pipeline_without_text_has_no_corpus(tmp_path: Path) -> None:
    flow = flow_of(tmp_path, "name: p\nstages:\n  embed: {}\n")
    assert [node.name for node in flow.nodes] == ["graph", "embed"]


def test_stage_with_like_differs_only_in_its_own_settings(tmp_path: Path) -> None:
    text = """
name: p
stages:
  pretrain: {steps: 7, learning_rate: 0.01, base: {family: bert, size: tiny}, knowledge: ernie-baidu}
  control: {like: pretrain, knowledge: null}
  longer: {like: control, steps: 9, base: {size: mini}}
"""
    nodes = {node.name: node for node in flow_of(tmp_path, text).nodes}
    first, control, longer = (nodes[name].config for name in ("pretrain", "control", "longer"))
    assert isinstance(first, PretrainConfig)
    assert control == first.model_copy(update={"knowledge": ()})
    assert first.knowledge != ()
    assert (longer.steps, longer.base.size, longer.base.family) == (9, "mini", "bert")
    assert nodes["longer"].stage is KINDS["pretrain"]


def test_input_of_several_gets_all_and_an_ambiguous_one_is_an_error(tmp_path: Path) -> None:
    arms = "name: p\nstages:\n  pretrain: {}\n  control: {like: pretrain}\n  evaluate: {}\n"
    nodes = {node.name: node for node in flow_of(tmp_path, arms).nodes}
    assert list(nodes["evaluate"].inputs["arms"]) == ["pretrain", "control"]
    with pytest.raises(ConfigError, match=r"`pretrain` and `control` each make a Model; choose: `inputs:"):
        flow_of(tmp_path, arms + "  register: {name: p}\n")
    chosen = flow_of(tmp_path, arms + "  register: {name: p, inputs: {model: control}}\n")
    assert chosen.nodes[-1].inputs["model"] == ["control"]
    with pytest.raises(ConfigError, match="`register` takes one Model, not 2"):
        flow_of(tmp_path, arms + "  register: {name: p, inputs: {model: [pretrain, control]}}\n")


def test_start_model_is_used_only_if_named(tmp_path: Path) -> None:
    text = "name: p\nstages:\n  pretrain: {}\n  dapt: {like: pretrain, inputs: {start: pretrain}}\n"
    text += "  tapt: {like: dapt, steps: 5, inputs: {start: dapt}}\n"
    nodes = {node.name: node for node in flow_of(tmp_path, text).nodes}
    wired = {name: {slot: list(names) for slot, names in nodes[name].inputs.items()} for name in nodes}
    assert wired["pretrain"] == {"shards": ["shards"]}
    assert wired["dapt"] == {"shards": ["shards"], "start": ["pretrain"]}
    assert wired["tapt"] == {"shards": ["shards"], "start": ["dapt"]}
    with pytest.raises(
        ConfigError, match=r"p\.yaml:4: `shards` is not a stage before `dapt` that makes `Model`"
    ):
        flow_of(tmp_path, text.replace("start: pretrain", "start: shards"))


def test_continued_model_has_no_recipe_of_new_ones(tmp_path: Path) -> None:
    text = "name: p\nstages:\n  pretrain: {}\n  more: {like: pretrain, inputs: {start: pretrain}}\n"
    text += "  as-before: {like: more, optimizer: muon, learning_rate: 1.0e-3}\n"
    nodes: dict[str, Any] = {node.name: node.config for node in flow_of(tmp_path, text).nodes}
    rates = {
        name: (nodes[name].optimizer, nodes[name].learning_rate) for name in ("pretrain", "more", "as-before")
    }
    assert rates == {"pretrain": ("muon", 3e-3), "more": ("adamw", 5e-4), "as-before": ("muon", 1e-3)}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name: P p", r"p\.yaml:1: `name`"),
        ("name: tracking", r"p\.yaml:1: `name`: `tracking` is a reserved folder of the workspace; choose another"),
        ("a/b: {use: link}", r"p\.yaml:3: `stages\.a/b`: expected a name of letters, digits, dashes"),
        ("a.b: {use: link}", r"p\.yaml:3: `stages\.a\.b`: expected a name of letters, digits, dashes"),
        ("pretrain: {inputs: [shards]}", r"`inputs`: expected input and stage, such as `inputs: {model: pretrain}`"),
        ("pretrain: {inputs: {shards: 3}}", r"p\.yaml:3: `inputs\.shards`: expected a stage's name or a list"),
        ("a: {like: [link]}", r"p\.yaml:3: `like`: expected one name, found \['link'\]"),
        ("a: {inputs: {start: b}, use: pretrain}\n  b: {use: pretrain}", r"makes `Model`; move `b` before `a`"),
        ("pretrian: {}", r"p\.yaml:3: unknown kind of stage `pretrian`; did you mean `pretrain`"),
        ("quiz: {}", r"p\.yaml:3: unknown kind of stage `quiz`: it was renamed to `graph-dataset`"),
        ("pretrain:\n    stepz: 4", r"p\.yaml:4: unknown key `stages\.pretrain\.stepz`; did you mean `steps`"),
        ("a: {like: b}\n  b: {like: a}", r"p\.yaml:4: `like: a` is circular: a → b → a"),
        ("a: {like: pretrain}", r"p\.yaml:3: `like: pretrain`: no such other stage"),
        ("pretrain: {inputs: {shrads: shards}}", r"has no input `shrads`; did you mean `shards`"),
        ("pretrain: {inputs: {shards: link}}", r"`link` is not a stage before `pretrain` that makes `Shards`"),
        ("pretrain: {}\n  shards: {}", r"`pretrain` needs the output of `shards`; move `shards` before it"),
        ("graph: {source: native, path: nowhere}", r"p\.yaml:1: `graph\.path`: no such file or folder"),
        ("pretrain: {blocks: true}", r"p\.yaml:3: `stages\.pretrain\.blocks` is now called `flex_attention`"),
        ("pretrain: {isolate: true}", r"p\.yaml:3: `stages\.pretrain\.isolate` is now called `document_mask`"),
        ("pretrain: {knowledge: {method: k-bert, soft: no}}", r"soft` is now called `soft_positions`"),
        ("pretrain: {inject: {}}", r"`stages\.pretrain\.inject`: write `knowledge: \{method: k-bert\}`"),
        ("pretrain: {base: {fusion: {}}}", r"\.base\.fusion`: write `knowledge: \{method: ernie-tsinghua"),
        ("pretrain: {objective: ernie-baidu}", r"set `objective: mlm` and `knowledge: \{method: ernie-baidu\}`"),
        ("pretrain: {knowledge: k-burt}", r"unknown knowledge method 'k-burt'; did you mean `k-bert`"),
        ("pretrain: {knowledge: [k-bert, k-bert]}", r"k-bert: expected each method once"),
        ("pretrain: {objective: {name: unilm, share: 1}}", r"\.share` is now called `mlm_probability`"),
        ("pretrain: {objective: {name: mass, share: 1}}", r"\.share` is now called `span_fraction`"),
        ("pretrain: {objective: mml}", r"unknown objective 'mml'; did you mean `mlm`"),
    ],
)  # fmt: skip
def test_pipeline_errors_are_located_with_advice(tmp_path: Path, text: str, message: str) -> None:
    top = text.startswith(("name:", "graph:"))
    whole = f"{text}\nname: p\nstages: {{}}\n" if top else f"name: p\nstages:\n  {text}\n"
    with pytest.raises(ConfigError, match=message):
        flow_of(tmp_path, whole.replace("name: p\n", "", 1) if text.startswith("name:") else whole)


def test_assignments_reach_settings_of_any_stage(tmp_path: Path) -> None:
    flow = flow_of(tmp_path, "name: p\nstages:\n  pretrain: {}\n", "stages.pretrain.steps=50", "seed=4")
    assert (flow.nodes[-1].config.steps, flow.seed) == (50, 4)


@pytest.mark.parametrize(
    "file", sorted([*ROOT.glob("pipelines/*.yaml"), *ROOT.glob("docs/**/pipeline.yaml")]), ids=str
)
def test_included_pipeline_is_valid_and_documented(
    file: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for named in re.findall(
        r"^[^#\n]*?\$KEPIPE_DATA/([\w./-]+)", file.read_text(encoding="utf-8"), re.MULTILINE
    ):
        place = tmp_path / named if "." in named else tmp_path / named / "train.tsv"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text("\n".join(f"[{role}]" for role in ("PAD", "UNK", "CLS", "SEP", "MASK")))
    monkeypatch.setenv("KEPIPE_DATA", str(tmp_path))
    flow, _ = load(file)
    assert flow.nodes
    header = file.read_text().split("name:")[0]
    assert all(word in header for word in ("# What:", "# Command:", "# Hardware:"))


def test_schema_describes_every_setting_and_resolves_references() -> None:
    made = schema()
    references = _references(made)
    assert references
    assert all(reference.removeprefix("#/$defs/") in made["$defs"] for reference in references)
    for kind, stage in KINDS.items():
        section = made["$defs"][f"stage-{kind}"]
        described = {
            name for name, entry in section["properties"].items() if "description" in entry or "$ref" in entry
        }
        expected = {info.alias or name for name, info in stage.config.model_fields.items()}
        assert expected <= described, f"{kind}: {expected - described} have no description"


def _references(node: Any) -> set[str]:
    if isinstance(node, dict):
        own = {node["$ref"]} if isinstance(node.get("$ref"), str) else set()
        return own.union(*(_references(value) for value in node.values()))
    if isinstance(node, list):
        return set().union(*(_references(value) for value in node))
    return set()


def test_fine_tuned_model_is_an_input_only_if_named(tmp_path: Path) -> None:
    (tmp_path / "x.tsv").touch()
    data = "{task: classification, data: {train: x.tsv}, inputs: {start: %s}}"
    text = "name: p\nstages:\n  pretrain: {}\n"
    text += f"  finetune: {data % 'pretrain'}\n  again: {{use: finetune, {(data % 'finetune')[1:]}\n"
    text += "  more: {like: pretrain, inputs: {start: again}}\n  evaluate: {}\n"
    text += "  forgotten: {use: evaluate, inputs: {arms: [pretrain, finetune]}}\n"
    nodes = {node.name: node for node in flow_of(tmp_path, text).nodes}
    assert nodes["again"].inputs["start"] == ["finetune"]
    assert nodes["more"].inputs["start"] == ["again"]
    assert list(nodes["evaluate"].inputs["arms"]) == ["pretrain", "more"]
    assert nodes["forgotten"].inputs["arms"] == ["pretrain", "finetune"]


def test_subtype_input_is_wired_by_its_own_type(tmp_path: Path) -> None:
    """The reverse does not hold: a subtype is required by its own name."""
    with pytest.raises(ConfigError, match="`corpus` is not a stage before `shards` that makes `Linked`"):
        flow_of(tmp_path, "name: p\nstages:\n  shards: {inputs: {linked: corpus}}\n")


def test_long_chains_of_stages_are_supported(tmp_path: Path) -> None:
    """Each like the one before it, and each going on with its model; the other way round in the file too."""
    count = 1200
    first = "  s0: {use: pretrain, knowledge: {method: ernie-tsinghua}, length: 64}\n"
    chained = "".join(
        f"  s{n}: {{like: s{n - 1}, inputs: {{start: s{n - 1}}}, steps: {n}}}\n" for n in range(1, count)
    )
    node = flow_of(tmp_path, f"name: p\nstages:\n  embed: {{}}\n{first}{chained}").nodes[-1]
    assert (node.name, node.config.length, node.config.steps) == (f"s{count - 1}", 64, count - 1)
    backwards = [f"  s{n}: {{like: s{n + 1}, most: {n + 9}}}\n" for n in range(count)]
    last = f"  s{count}: {{use: graph-dataset, fewest: 3}}\n"
    nodes = flow_of(tmp_path, f"name: p\nstages:\n{''.join(backwards)}{last}").nodes
    assert {node.config.fewest for node in nodes if node.stage.name == "graph-dataset"} == {3}
    taken = [f"  s{n}: {{use: shards, inputs: {{tokenizer: s{n - 1}}}}}\n" for n in range(1, count)]
    flow_of(tmp_path, f"name: p\nstages:\n  s0: {{use: shards}}\n{''.join(taken)}")


def test_circular_like_is_reported_with_its_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"p\.yaml:5: `like: a` is circular: a → b → c → a"):
        flow_of(tmp_path, "name: p\nstages:\n  a: {like: b}\n  b: {like: c}\n  c: {like: a}\n")


def test_wiring_time_is_linear_in_the_number_of_stages(tmp_path: Path) -> None:
    """Counts function calls, which a busy machine does not more: four times the stages, about four times the calls."""

    def calls(count: int) -> int:
        entries: dict[str, dict[str, Any]] = {"graph": {}, "pretrain": {}}
        entries |= {f"s{n}": {"use": "pretrain", "inputs": {"start": "pretrain"}} for n in range(count)}
        entries |= {f"d{n}": {"use": "graph-dataset"} for n in range(count)}
        settings = Settings({"stages": entries}, tmp_path / "p.yaml")
        profile = cProfile.Profile()
        profile.runcall(wire, entries, settings, {name: ("stages", name) for name in entries})
        return sum(entry.callcount for entry in profile.getstats())

    calls(10)  # what is found out once
    assert calls(800) < 5 * calls(200)
