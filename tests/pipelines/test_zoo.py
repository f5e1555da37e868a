"""Every family's pipeline from end to end, through the command line, on the example of the docs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from kepipe.cli import app
from tests.support.kepipe_run import EXAMPLE, ROOT, Kepipe

FILLS = ("bert", "roberta", "unilm", "ernie-baidu")
WRITES = ("gpt", "mass", "bart", "t5")
COUNTS = ("ngram",)
"""Made without training."""
STUDIES = (
    "contextual",
    "ernie-graph-dataset",
    "ernie-tsinghua",
    "k-bert",
    "k-bert-choices",
    "k-bert-zh",
    "tuned-or-frozen",
)
"""Tested in `test_studies.py`."""


def small(name: str) -> tuple[str, ...]:
    """Settings for seconds: the example's graph and text, tiny models, 12 steps."""
    folder = EXAMPLE.parent
    size = {"t5": 700, "mass": 600, "bart": 600, "gpt": 600, "roberta": 600, "ngram": 600}.get(name, 900)
    text = (
        f"graph={{source: native, path: {folder}}}",
        f"corpus={{source: folder, path: {folder / 'texts'}, held_out: 0.3}}",
        "stages.link.spacy_model=null",
        f"stages.shards.tokenizer.size={size}",
        "stages.evaluate.context=48",
    )
    if name in COUNTS:
        return text
    return (
        *text,
        "stages.pretrain.base.hidden=32",
        "stages.pretrain.base.layers=1",
        "stages.pretrain.base.heads=2",
        "stages.pretrain.length=48",
        "stages.pretrain.steps=12",
        "stages.pretrain.batch_tokens=512",
        "stages.pretrain.log_every=4",
    )


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One shared workspace, so that graph, corpus and links are made once."""
    return tmp_path_factory.mktemp("zoo")


def run(workspace: Path, name: str) -> Path:
    """The results of a family's pipeline, run as a user runs it (cached where another test ran it)."""
    outcome = Kepipe(workspace, ROOT / "pipelines" / f"{name}.yaml").run_here(settings=small(name))
    assert outcome.code == 0, outcome.errors
    return workspace / name


def kepipe(*arguments: str) -> str:
    """The output of a command."""
    ended = CliRunner().invoke(app, arguments)
    assert ended.exit_code == 0, ended.output
    return ended.stdout


def test_every_pipeline_of_the_zoo_is_tested() -> None:
    named = {file.stem for file in (ROOT / "pipelines").glob("*.yaml")}
    assert named == {
        *FILLS,
        *WRITES,
        *COUNTS,
        "adaptation",
        "adaptation-small",
        "distillation",
        "quickstart",
        "codex",
        "fb15k-237",
        "word-vectors",
        "elmo",
        "ernie-2",
        "history",
        "nnlm",
        "text-to-text",
        "three-units",
        "xlnet",
        *STUDIES,
    }


@pytest.mark.parametrize("name", [*FILLS, *WRITES, *COUNTS, "text-to-text"])
def test_pipeline_header_has_what_command_hardware_and_figure(name: str) -> None:
    text = (ROOT / "pipelines" / f"{name}.yaml").read_text()
    assert all(f"# {part}:" in text for part in ("What", "Command", "Hardware", "Figure"))
    assert f"kepipe run {name}\n" in text


@pytest.mark.parametrize("name", FILLS)
def test_masked_models_train_and_are_probed(workspace: Path, name: str) -> None:
    results = run(workspace, name)
    scores = json.loads((results / "evaluate" / "scores.json").read_text())
    assert set(scores["arms"]["pretrain"]) == {"mlm_loss", "entity_cloze"}
    assert "Entity cloze" in (results / "report" / "report.html").read_text()


def test_distillation_students_train_and_are_probed(workspace: Path) -> None:
    settings = (
        *small("ernie-baidu")[:3],
        "stages.shards.tokenizer={size: 900}",
        "stages.facts.base={family: bert, hidden: 32, layers: 2, heads: 2}",
        "stages.labels.base={family: bert, hidden: 32, layers: 1, heads: 2}",
        *(f"stages.{stage}.{name}" for stage in ("facts", "labels") for name in ("steps=8", "length=48")),
        "stages.evaluate.graph_quiz={questions: 20, options: 5}",
    )
    outcome = Kepipe(workspace, ROOT / "pipelines" / "distillation.yaml").run_here(settings=settings)
    assert outcome.code == 0, outcome.errors
    results = workspace / "distillation"
    arms = json.loads((results / "evaluate" / "scores.json").read_text())["arms"]
    assert {"facts", "text", "labels", "from-text", "from-text-and-facts"} < set(arms)
    made_by = json.loads((results / "from-facts" / "kepipe.json").read_text())
    assert made_by["teacher"] != json.loads((results / "from-text" / "kepipe.json").read_text())["teacher"]


def test_titles_and_answers_are_generated_and_compared_with_baselines(workspace: Path) -> None:
    settings = (
        *(setting for setting in small("bart") if "evaluate" not in setting),
        "stages.titles={use: title-dataset, characters: 100, dev: 0.4}",
        f"stages.places={{use: graph, source: native, path: {EXAMPLE.parent}}}",
        "stages.questions={use: graph-dataset, inputs: {graph: places}, ask: text, fewest: 3, dev: 0.2}",
        "stages.title.length=32",
        "stages.title.epochs=1",
        "stages.title.generation.max_new_tokens=6",
        "stages.answer.epochs=1",
    )
    outcome = Kepipe(workspace, ROOT / "pipelines" / "text-to-text.yaml").run_here(settings=settings)
    assert outcome.code == 0, outcome.errors
    for stage in ("title", "answer"):
        scores = json.loads((workspace / "text-to-text" / stage / "scores.json").read_text())
        metrics = scores["arms"]["model"]["test"]
        assert {"rouge_l", "exact_match", "token_f1"} < set(metrics)
        assert all(metrics.keys() == of.keys() for of in scores["baselines"]["test"].values())


@pytest.mark.parametrize("name", WRITES + COUNTS)
def test_causal_models_train_and_are_scored(workspace: Path, name: str) -> None:
    results = run(workspace, name)
    scores = json.loads((results / "evaluate" / "scores.json").read_text())
    assert all(set(probes) == {"perplexity"} for probes in scores["arms"].values())
    assert scores["arms"]["pretrain"]["perplexity"]["token_perplexity"]["value"] > 1
    assert "Language modelling" in (results / "report" / "report.html").read_text()


def test_trained_model_generates_and_exports_to_hugging_face(workspace: Path, tmp_path: Path) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = str(run(workspace, "gpt") / "pretrain")
    written = kepipe("generate", model, "Saturn has", "--limit", "8")
    assert written.startswith("Saturn has")
    drawn = [kepipe("generate", model, "Saturn has", "--top-p", "0.9", "--seed", seed) for seed in "112"]
    assert drawn[0] == drawn[1] != drawn[2]
    kepipe("export", model, str(tmp_path / "exported"))
    theirs = AutoModelForCausalLM.from_pretrained(tmp_path / "exported").eval()
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "exported")
    asked = tokenizer("Saturn has", return_tensors="pt")
    tokens = theirs.generate(**asked, max_new_tokens=8, do_sample=False)
    assert tokenizer.decode(tokens[0], skip_special_tokens=True).strip() == written.strip()


def test_few_shot_with_zero_and_two_examples(workspace: Path) -> None:
    model = str(run(workspace, "gpt") / "pretrain")
    output = kepipe("few-shot", model, str(ROOT / "docs" / "example" / "task.yaml"), "--shots", "0,2")
    lines = output.splitlines()
    assert "right by chance" in lines[0]
    assert [line.split()[0] for line in lines[2:]] == ["0", "2"]
    assert all("%" in line for line in lines[2:])


def test_n_gram_models_generate_answer_and_export_arpa(workspace: Path, tmp_path: Path) -> None:
    model = str(run(workspace, "ngram") / "pretrain")
    assert kepipe("generate", model, "Saturn has", "--limit", "8").startswith("Saturn has")
    drawn = [kepipe("generate", model, "Saturn has", "--top-p", "0.9", "--seed", seed) for seed in "112"]
    assert drawn[0] == drawn[1] != drawn[2]
    output = kepipe("few-shot", model, str(ROOT / "docs" / "example" / "task.yaml"), "--shots", "0,2")
    kepipe("export", model, str(tmp_path / "exported"))
    arpa = str(tmp_path / "exported" / "model.arpa.gz")
    kepipe("import-arpa", arpa, str(tmp_path / "again"), "--tokenizer", str(tmp_path / "exported"))
    again = kepipe(
        "few-shot", str(tmp_path / "again"), str(ROOT / "docs/example/task.yaml"), "--shots", "0,2"
    )
    assert again == output
    kepipe("import-arpa", arpa, str(tmp_path / "words"))
    assert kepipe("generate", str(tmp_path / "words"), "Saturn has", "--limit", "3")
