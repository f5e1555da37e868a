"""The page of a small real pipeline: self-contained, deterministic, complete."""

import dataclasses
import json
import re
import shutil

import pytest

from kepipe.flow.artifact import seal
from kepipe.flow.stage import StageContext
from kepipe.report.wording import cell
from kepipe.stages.artifacts import FineTuned
from kepipe.stages.report import REPORT, ReportConfig
from tests.support.browser import rendered
from tests.support.html import Structure
from tests.support.tasks import base_model, finetune, write_task
from tests.support.toy_training import EventRecorder

FRAME = """<iframe id="frame" style="border:0;width:WIDTHpx;height:900px"></iframe><script>
const frame = document.getElementById("frame");
frame.onload = () => { document.title = frame.contentDocument.documentElement.scrollWidth; };
frame.srcdoc = PAGE;
</script>"""


def make(inputs, folder, **config):
    (folder / "scratch").mkdir(parents=True)
    (folder / "out").mkdir()
    notes = []
    context = StageContext(folder / "out", folder / "scratch", 0, "cpu", notes.append)
    REPORT.run(inputs, ReportConfig(**config), context)
    return (folder / "out" / "report.html").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def html(inputs, tmp_path_factory):
    return make(inputs, tmp_path_factory.mktemp("page") / "a")


def test_report_page_loads_nothing_external(html):
    without_names = re.sub(r'xmlns(:\w+)?="[^"]*"', "", html)
    assert not re.search(r'(src|href)="(?!#)', without_names)
    assert not re.search(r"https?:", without_names)
    assert "<script" not in html
    assert "@import" not in html


def test_report_tags_nest_and_ids_are_unique(html):
    structure = Structure()
    structure.feed(html)
    assert (structure.open, structure.wrong) == ([], [])
    assert len(structure.ids) == len(set(structure.ids))
    anchors = re.findall(r'<a href="#([^"]+)"', html)
    assert set(anchors) <= set(structure.ids)
    assert anchors == ["cloze", "cloze-examples", "loss", "training", "linking", "vectors", "data", "run"]


def test_report_is_deterministic(inputs, html, tmp_path):
    assert make(inputs, tmp_path / "again") == html


def test_report_drawings_use_css_variables(html):
    assert "#fe0" not in html
    assert "var(--series-1)" in html


def test_report_has_run_command_and_versions(html):
    for expected in (
        "small · ",
        "kepipe run pipelines/small.yaml --set stages.pretrain.steps=100<",
        "torch 2.13.0",
        "3 lines of the text",
        "seed 0",
    ):
        assert expected in html
    assert '<mark class="entity"' in html
    assert "displacy" not in html  # the page has its own style for entities


def test_report_escapes_corpus_text(inputs, tmp_path):
    folder = tmp_path / "evaluate"
    shutil.copytree(inputs.evaluation.folder, folder)
    lines = (folder / "clozes.jsonl").read_text().splitlines()
    cases = [json.loads(line) | {"before": "<b>x & y</b> "} for line in lines]
    (folder / "clozes.jsonl").write_text("".join(json.dumps(case) + "\n" for case in cases))
    changed = dataclasses.replace(inputs, evaluation=dataclasses.replace(inputs.evaluation, folder=folder))
    page = make(changed, tmp_path / "page")
    assert "&lt;b&gt;x &amp; y&lt;/b&gt;" in page
    assert "<b>x" not in page


def test_report_includes_fine_tuned_models(inputs, html, tmp_path):
    tuned = []
    for name, task in (("row", "classification"), ("spans", "tagging")):
        data = write_task(tmp_path / name / "data", task, train=24, test=12)
        made = finetune(
            tmp_path / name / "made",
            base_model(tmp_path / name / "base"),
            task,
            data,
            EventRecorder(),
            epochs=1,
        )
        tuned.append(FineTuned(made.folder, seal(made.folder, {"seed": 0}, "r1"), name=name))
    page = make(dataclasses.replace(inputs, tuned=tuple(tuned)), tmp_path / "page")
    anchors = re.findall(r'<a href="#([^"]+)"', page)
    assert [name for name in anchors if name.startswith("task-")] == ["task-classification", "task-tagging"]
    reached = tuned[0].scores()["test"]["accuracy"]
    assert str(cell(reached)) in page
    assert (tmp_path / "page" / "out" / "report.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.browser
@pytest.mark.parametrize("width", [1200, 390])
def test_report_fits_the_window_width(html, tmp_path, width):
    """Measured by Chromium: on a phone, tables scroll in themselves and never move the page."""
    framed = json.dumps(html).replace("</", r"<\/")
    file = tmp_path / "page.html"
    file.write_text(FRAME.replace("WIDTH", str(width)).replace("PAGE", framed), encoding="utf-8")
    found = re.search(r"<title>(\d+)</title>", rendered(file))
    assert found
    assert int(found[1]) <= width
