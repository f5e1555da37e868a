"""Labels, types, titles and names of files that are HTML, scripts or formulas: pages show them as text."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

import kepipe
from kepipe.cli import app
from kepipe.drift.check import Report as Drift
from kepipe.report.drift import drift_page
from kepipe.report.gate import gate_page
from kepipe.report.page import Page, render
from kepipe.report.results import results_page
from kepipe.report.retraining import Coverage, Retraining, retraining_page
from kepipe.stages.artifacts import Report
from kepipe.stages.table import STAGES
from kepipe.studies.all_results import AllResults, Benchmark
from kepipe.studies.intervals import Estimate
from kepipe.studies.results import StudyResult
from kepipe.studies.scores import Scores
from kepipe.studies.stage_scores import StageScores
from tests.support.browser import rendered
from tests.support.kepipe_run import EXAMPLE, Kepipe

pytestmark = pytest.mark.browser

SCRIPT = "<script>document.title='PWNED'</script>"
IMAGE = "<img src=x onerror=document.title='PWNED'>"
EVIL = f"$$ \"'> {IMAGE} {SCRIPT} $\\undefined{{x}}$ ]]> \x1b[31m {{{{7*7}}}}"
FILE = f"$x$ {IMAGE}"
STUDY = """
  graph-dataset: {fewest: 2, most: 60}
  finetune: {inputs: {start: pretrain, data: graph-dataset}, task: classification, length: 32, epochs: 1}
  evaluate: {context: 64}
  report: {}
  task-report: {}
study:
  seeds: 1
  arms: {knowledge: {}, plain: {pretrain: {knowledge: null}}}
  controls: [plain]
  measure: {evaluate: entity_cloze/mrr, finetune: test/accuracy}
"""


def write_example(folder: Path) -> Path:
    """The docs' example with hostile types, descriptions, relations, titles, texts and names of files, and half of the
    labels; the true labels are aliases, so that all is linked as ever. The other half are short enough for clozes."""
    shutil.copytree(EXAMPLE.parent, folder)
    entities = [json.loads(line) for line in (folder / "entities.jsonl").read_text().splitlines()]
    for number, entity in enumerate(entities):
        entity["aliases"] = [entity["label"], *entity.get("aliases", ())]
        entity["label"] += f" {EVIL}" if number % 2 else ""
        entity["description"] = f"{entity.get('description', '')} {EVIL}"
        entity["types"] = [f"{kind} {EVIL}" for kind in entity.get("types", ())]
    (folder / "entities.jsonl").write_text("".join(f"{json.dumps(entity)}\n" for entity in entities))
    relations = (folder / "relations.tsv").read_text().splitlines()
    (folder / "relations.tsv").write_text("".join(f"{line} {EVIL}\n" for line in relations))
    for file in (folder / "texts").glob("*.txt"):
        file.write_text(f"{EVIL} {file.read_text()}")
        file.rename(file.with_name(f"{file.stem} {FILE}.txt"))
    lines = (folder / "texts" / "moons.jsonl").read_text().splitlines()
    records = [{**record, "title": f"{record.get('title', '')} {EVIL}"} for record in map(json.loads, lines)]
    (folder / "texts" / "moons.jsonl").write_text("".join(f"{json.dumps(record)}\n" for record in records))
    file = folder / "pipeline.yaml"
    settings = file.read_text().split("  control:")[0].replace("held_out: 0.2", "held_out: 0.4")
    file.write_text(settings + STUDY)
    return file


def gold(folder: Path) -> Path:
    """A gold set with correct and wrong links, so that there are mistakes to show."""
    text = f"Mars and Jupiter were seen by Galileo {EVIL}."
    marks = [("Mars", "jupiter"), ("Jupiter", "jupiter"), ("Galileo", "no such entity")]
    mentions = [
        {"start": text.index(name), "end": text.index(name) + len(name), "entity": entity, "type": EVIL}
        for name, entity in marks
    ]
    file = folder / f"gold {FILE}.jsonl"
    records = [{"id": f"d{number} {EVIL}", "text": text, "mentions": mentions} for number in range(3)]
    file.write_text("".join(f"{json.dumps(record)}\n" for record in records))
    return file


ARPA = "\\data\\\nngram 1=5\n\n\\1-grams:\n-1\t<unk>\n-99\t<s>\n-1\t</s>\n-0.5\tyes\n-0.6\tno\n\n\\end\\\n"


def question(folder: Path) -> tuple[Path, Path]:
    """An n-gram model and a question, both with names that contain HTML."""
    (folder / "model.arpa").write_text(ARPA)
    model = folder / f"model {FILE}"
    result = CliRunner().invoke(app, ["import-arpa", str(folder / "model.arpa"), str(model)])
    assert result.exit_code == 0, result.output
    choices = ["yes", f"no {EVIL}"]
    asked = {"name": EVIL, "choices": choices, "questions": [{"question": EVIL, "answer": "yes"}]}
    (folder / "question.json").write_text(json.dumps(asked))
    return model, folder / "question.json"


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Every page that kepipe makes, of a whole study and by each command."""
    folder = tmp_path_factory.mktemp("hostile")
    pipeline = write_example(folder / "example")
    runner = Kepipe(folder / "workspace", pipeline)
    outcome = runner.run()
    assert outcome.code == 0, outcome.errors
    results = runner.workspace / "example"
    graph = results / "graph"
    texts = next((folder / "example" / "texts").glob("mars*"))
    out = {
        name: folder / f"{name}.html"
        for name in ("describe", "draw", "doctor", "score", "inject", "quiz", "few-shot", "lineage")
    }
    out["picture"] = folder / "picture.svg"
    for command in (
        ("graph", "describe", graph, "--html", out["describe"]),
        ("graph", "draw", graph, "Mars", "--out", out["draw"]),
        ("graph", "draw", graph, "Jupiter", "--out", out["picture"]),
        ("link", "doctor", texts, "-l", graph, "--rules", "--html", out["doctor"]),
        ("link", "score", gold(folder), "-l", graph, "--rules", "--html", out["score"]),
        (
            "quiz",
            results / "pretrain",
            "--graph",
            graph,
            "--questions",
            "20",
            "--page",
            out["quiz"],
        ),
        ("few-shot", *question(folder), "--shots", "0", "--page", out["few-shot"]),
        ("inject", f"Mars {EVIL} is near Jupiter.", "--graph", graph, "--html", out["inject"]),
        ("lineage", results / "pretrain", "--html", out["lineage"]),
    ):
        result = CliRunner().invoke(app, [str(word) for word in command])
        assert result.exit_code == 0, result.output
    made = {name: results / name / "report.html" for name in ("report", "task-report", "study")}
    for name, page in written_pages().items():
        made[name] = folder / f"{name}.html"
        made[name].write_text(render(page), encoding="utf-8")
    return {**out, **made}


def written_pages() -> dict[str, Page]:
    """Pages of which only labels, ids and messages are other people's: these are hostile here."""
    counts = dict.fromkeys(
        ("documents", "new_documents", "changed_documents", "gone_documents", "entities", "new_entities", "new_triples",
         "new_aliases"),
        1,
    )  # fmt: skip
    retraining = Retraining(counts, [EVIL], [EVIL], {EVIL: Coverage(1, 9, 1, 1, 0)}, {}, {}, EVIL)
    return {
        "retraining": retraining_page(retraining, EVIL),
        "gate": gate_page(EVIL, "refused", EVIL, [(EVIL, "met", EVIL)], {EVIL: EVIL}, EVIL),
        "drift": drift_page(EVIL, Drift({}, (), {EVIL: EVIL}, (9, 9)), [{"at": 0, "headline": EVIL}]),
        "results": results_page(
            AllResults(
                [StudyResult(EVIL, EVIL, [1], EVIL, [EVIL], frozenset(), [])],
                [StageScores(EVIL, EVIL, Scores({EVIL: {EVIL: {EVIL: Estimate(1.0, None, None, 1, 1)}}}))],
                [Benchmark(EVIL, EVIL, (EVIL,), ((EVIL,),))],
            ),
            {EVIL: EVIL},
        ),
    }


def test_every_kind_of_page_is_tested_here() -> None:
    """A page that is made by a function of its own, or by a stage, is looked at by a browser, and so by the `pages`
    above."""
    files = (Path(kepipe.__file__).parent / "report").glob("*.py")
    made = {
        name for file in files for name in re.findall(r"^def (\w+_page)\(", file.read_text(), re.MULTILINE)
    }
    assert made == {
        "statistics_page", "entity_page", "diagnosis_page", "score_page", "tree_page", "quiz_page", "few_shot_page",
        "lineage_page", "gate_page", "drift_page", "results_page", "retraining_page",
    }  # fmt: skip
    assert {stage.name for stage in STAGES if stage.makes is Report} == {
        "report",
        "task-report",
        "retraining-report",
    }


def injected_effects(document: str) -> list[str]:
    """Effects of a text that the browser interpreted as HTML."""
    ran = ["a script ran"] if re.search(r"<title>\s*PWNED\s*</title>", document) else []
    elements = re.findall(r"<(?:script|img|iframe|object|embed)\b", document)
    return (
        ran
        + elements
        + re.findall(r"<[a-z]+\b[^>]*\son\w+=", document)
        + re.findall('href="javascript:', document)
    )


def test_unescaped_html_would_be_executed(tmp_path: Path) -> None:
    for number, text in enumerate((SCRIPT, IMAGE, f"<svg><text>{IMAGE}</text></svg>")):
        page = tmp_path / f"{number}.html"
        page.write_text(f"<!doctype html><title>x</title><body>{text}")
        assert "a script ran" in injected_effects(rendered(page))
        assert len(injected_effects(rendered(page))) > 1


@pytest.mark.parametrize(
    "name",
    [
        "describe",
        "draw",
        "picture",
        "doctor",
        "score",
        "inject",
        "quiz",
        "few-shot",
        "lineage",
        "report",
        "task-report",
        "study",
        "retraining",
        "gate",
        "drift",
        "results",
    ],
)
def test_pages_execute_no_injected_html(pages: dict[str, Path], name: str) -> None:
    assert injected_effects(rendered(pages[name])) == []
    written = pages[name].read_text(encoding="utf-8")
    assert "\x1b" not in written
    if name in (
        "describe",
        "draw",
        "report",
        "retraining",
        "gate",
        "drift",
        "results",
    ):  # the others have no room for all of it
        assert "$$ &#34;&#39;&gt; &lt;img src=x" in written
        assert "{{7*7}}" in written
