"""The table of knowledge methods: each row is complete, documented and used; settings are read from YAML."""

from __future__ import annotations

import ast
import inspect
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter

from kepipe.config import ConfigConflict
from kepipe.flow.stage import Stage
from kepipe.knowledge import table
from kepipe.knowledge.base import KnowledgeContext, KnowledgeMethod
from kepipe.knowledge.ernie_baidu import ErnieBaidu
from kepipe.knowledge.ernie_tsinghua.settings import ErnieTsinghua
from kepipe.knowledge.kbert.settings import KBert
from kepipe.objectives.mlm import MLM
from kepipe.objectives.t5 import SpanCorruption
from kepipe.stages.finetune import FINETUNE
from kepipe.stages.pretrain import PRETRAIN
from kepipe.stages.table import STAGES

ROOT = Path(__file__).parents[3]
ROWS = [pytest.param(name, method, id=name) for name, method in table.METHODS.items()]
ONE_OR_SEVERAL: TypeAdapter[Any] = TypeAdapter(table.KnowledgeMethods)


PACKAGE = "kepipe.knowledge"
ABOUT_ONE_METHOD = {"cli/inject.py", "report/matrix.py", "report/tree.py"}
"""Files that belong to a command about one method, `kepipe inject`."""
TELL_NEW_NAMES = {"finetuning/settings.py", "models/base.py", "stages/pretrain.py"}
"""Files whose `renamed` says which method an old key of the YAML is now."""


def text_of(*patterns: str) -> str:
    return "\n".join(file.read_text(encoding="utf-8") for pattern in patterns for file in ROOT.glob(pattern))


@pytest.mark.parametrize(("name", "method"), ROWS)
def test_method_is_documented_tested_and_in_a_pipeline(name: str, method: KnowledgeMethod) -> None:
    assert method.about
    assert not method.about.endswith(".")
    assert f"`{name}`" in text_of("docs/*.md")
    pipelines = text_of("pipelines/*.yaml", "docs/example/*.yaml")
    assert f"knowledge: {name}\n" in pipelines or f"method: {name}" in pipelines
    module = inspect.getmodule(type(method))
    assert module is not None
    place = module.__name__.removeprefix("kepipe.knowledge.").replace(".method", "").replace(".", "/")
    tests = ROOT / "tests/kepipe/knowledge"
    assert (tests / f"test_{place}.py").is_file() or list((tests / place).glob("test_*.py"))


def own_module(method: KnowledgeMethod) -> str:
    """The method's file or package, below that of knowledge."""
    return type(method).__module__.removeprefix(f"{PACKAGE}.").partition(".")[0]


def names_in(source: str, *, names: bool = True) -> set[str]:
    """Methods that a file names in its strings, docstrings aside, and modules of methods that it imports."""
    tree, told = ast.parse(source), set[str]()
    docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            start = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            paths = [*start, *(f"{one}.{alias.name}" for one in start or [""] for alias in node.names)]
            modules = {own_module(method) for method in table.METHODS.values()}
            told |= {one for one in modules for path in paths if f".{path}.".find(f".{PACKAGE}.{one}.") >= 0}
        elif names and isinstance(node, ast.Constant) and isinstance(node.value, str):
            told |= {name for name in table.METHODS if name in node.value and id(node) not in docstrings}
    return told


FILES = sorted((ROOT / "kepipe").rglob("*.py"))


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(ROOT / "kepipe")))
def test_no_other_module_names_a_method(file: Path) -> None:
    place = file.relative_to(ROOT / "kepipe").as_posix()
    if place == "knowledge/table.py" or place in ABOUT_ONE_METHOD:
        return
    told = names_in(file.read_text(encoding="utf-8"), names=place not in TELL_NEW_NAMES)
    own = {name: own_module(method) for name, method in table.METHODS.items()}
    for name, module in own.items():
        if place == f"knowledge/{module}.py" or place.startswith(f"knowledge/{module}/"):
            told -= {name, module}
    assert not told, "ask the method through its row (`KnowledgeMethod`)"


@pytest.mark.parametrize(
    ("line", "names"),
    [
        ("from kepipe.knowledge.kbert.settings import KBert", {"kbert"}),
        ("from kepipe.knowledge import ernie_baidu", {"ernie_baidu"}),
        ("import kepipe.knowledge.kbert.method", {"kbert"}),
        ("from kepipe.knowledge import table", set()),
        ("advice = 'set `knowledge: k-bert`'", {"k-bert"}),
        ('f"{name} is no ernie-baidu"', {"ernie-baidu"}),
        ('"""As in ERNIE (`ernie-baidu`)."""', set()),
    ],
)
def test_named_method_is_detected(line: str, names: set[str]) -> None:
    assert names_in(line) == names


@pytest.mark.parametrize(("name", "method"), ROWS)
def test_method_controls_can_be_made_by_stages(name: str, method: KnowledgeMethod) -> None:
    """Every method can be left out, made wrong, and compared with the facts as sentences; one that reads an input can
    be given names without facts."""
    settings = table.read(name)
    controls = table.controls_of(method)
    inputs = method.inputs(settings)
    meaningless = {name} if inputs else {"names-only"}
    assert {control.name for control in controls} == {*table.CONTROLS} - meaningless
    assert len(controls) == len({control.name for control in controls})
    makers = {stage.name: stage for stage in STAGES}
    for control in controls:
        changed = control.name not in ("graph-off", "triples-as-text")
        assert (bool(control.replaced_by), bool(control.settings)) == (
            changed and bool(inputs),
            changed and not inputs,
        )
        assert settings.model_copy(update=dict(control.settings)) == table.read(
            {"method": name, **control.settings}
        )
        assert control.method in (None, *table.METHODS)
        for slot, kind in control.replaced_by.items():
            assert slot in inputs
            assert makers[kind].makes is PRETRAIN.slots()[slot].takes


@pytest.mark.parametrize(("name", "method"), ROWS)
def test_method_name_stands_for_its_settings(name: str, method: KnowledgeMethod) -> None:
    settings = table.read(name)
    assert type(settings) is method.section
    assert table.read({"method": name}) == settings
    assert table.read(settings.model_dump(mode="json")) == settings
    assert table.name_of(settings) == name
    assert table.method_of(settings) is method


def test_methods_are_read_in_table_order() -> None:
    read = ONE_OR_SEVERAL.validate_python
    assert read(None) == read([]) == ()
    assert read("k-bert") == (KBert(),)
    assert read({"method": "k-bert", "max_branches": 1}) == (KBert(max_branches=1),)
    assert read(["k-bert", {"method": "ernie-tsinghua", "denoising": False}, "ernie-baidu"]) == (
        ErnieBaidu(),
        ErnieTsinghua(denoising=False),
        KBert(),
    )


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("k-brt", r"unknown knowledge method 'k-brt'; did you mean `k-bert`\?"),
        ({"max_branches": 2}, "expected `method`"),
        (["k-bert", {"method": "k-bert", "max_branches": 1}], "k-bert: expected each method once"),
        ({"method": "k-bert", "branches": 1}, "branches"),
        ({"method": "ernie-tsinghua", "replaced": 0.6, "removed": 0.6}, "add up to more than 1"),
    ],
)
def test_invalid_method_is_reported(value: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ONE_OR_SEVERAL.validate_python(value)


def test_inputs_of_methods_are_listed_once() -> None:
    both = (ErnieTsinghua(), KBert(choice="plausible"))
    assert table.inputs_of(both) == ("vectors", "graph")
    assert table.inputs_of((ErnieBaidu(), KBert())) == ("graph",)
    assert table.inputs_of(()) == ()


@pytest.mark.parametrize("stage", [PRETRAIN, FINETUNE], ids=lambda stage: stage.name)
def test_stage_schema_offers_the_table(stage: Stage[Any, Any]) -> None:
    schema = stage.config.model_json_schema()
    offered = schema["properties"]["knowledge"]["items"]["discriminator"]["mapping"]
    assert list(offered) == list(table.METHODS)


@pytest.mark.parametrize(
    ("settings", "objective", "key", "message"),
    [
        (ErnieBaidu(), None, "knowledge", "leave it out of other stages"),
        (ErnieBaidu(), SpanCorruption(), "objective", "span-corruption masks no units.*set `objective: mlm`"),
        (ErnieTsinghua(), SpanCorruption(), "objective", "or `denoising: false` in knowledge"),
        (KBert(), SpanCorruption(), "objective", "does not predict tokens at their own positions"),
        (KBert(length=64), MLM(), "knowledge.length", "64 would cut the text, whose rows have 128 tokens"),
    ],
)
def test_incompatible_method_is_reported_with_its_key(
    settings: Any, objective: Any, key: str, message: str
) -> None:
    context = KnowledgeContext(None, 128, objective)
    with pytest.raises(ConfigConflict, match=message) as conflict:
        table.check((settings,), context)
    assert conflict.value.key == key


def test_k_bert_conflicts_with_entity_denoising() -> None:
    both = (ErnieTsinghua(), KBert())
    told = "k-bert moves tokens, but ernie-tsinghua predicts entities.*ernie-tsinghua, denoising: false}` beside it"
    with pytest.raises(ConfigConflict, match=told):
        table.check(both, KnowledgeContext(None, 128, MLM()))
    table.check(both, KnowledgeContext(None, 128))  # fine-tuning asks for none


def test_unused_source_advises_a_method() -> None:
    assert "{method: ernie-tsinghua}` in the stage, which fuses" in table.advice("vectors")
    assert "{method: k-bert}` in the stage, which writes" in table.advice("graph")


def test_compatible_methods_are_accepted() -> None:
    table.check((ErnieBaidu(), ErnieTsinghua(denoising=False), KBert()), KnowledgeContext(None, 128, MLM()))
    table.check((ErnieTsinghua(denoising=False),), KnowledgeContext(None, 128, SpanCorruption()))
    table.check((ErnieTsinghua(), KBert(length=8)), KnowledgeContext(None, 128))
