"""A pipeline that continues from its champion, with grown text and graph: end to end, twice."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from kepipe.cli import app
from tests.support.kepipe_run import EXAMPLE

PAGE = (Path(__file__).parents[2] / "docs" / "retraining.md").read_text(encoding="utf-8")


def kepipe(*words: str) -> str:
    result = CliRunner().invoke(app, list(words))
    assert result.exit_code == 0, result.output
    return result.output


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The example with the pipeline of the page."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KEPIPE_TRACKING", "off")
    for name in ("KEPIPE_WORKSPACE", "MLFLOW_TRACKING_URI", "MLFLOW_REGISTRY_URI"):
        monkeypatch.delenv(name, raising=False)
    shutil.copytree(EXAMPLE.parent, tmp_path / "project")
    (text,) = re.findall(r"```yaml\n(# project/going-on\.yaml\n.*?)```", PAGE, re.DOTALL)
    (tmp_path / "project" / "going-on.yaml").write_text(text)
    return tmp_path / "project"


def test_champion_is_continued_with_new_text_and_entities(project: Path) -> None:
    pipeline = str(project / "going-on.yaml")
    first = kepipe("run", pipeline)
    assert "going-on has no champion yet: starts with a new bert" in first
    assert "`champion` has no vectors in the store: all vectors are trained" in first
    kepipe("track", "sync")
    (project / "texts" / "voyager.txt").write_text(
        "Voyager saw Hippocamp, a moon of Neptune. Triton is one too."
    )
    more_text = kepipe("run", pipeline, "--until", "link")
    assert "the linker of `champion` is kept" in more_text
    assert "linked 1 new documents, 22 keep their links" in more_text
    with (project / "entities.jsonl").open("a") as entities:
        entities.write('{"id": "hippocamp", "label": "Hippocamp", "types": ["moon"]}\n')
    with (project / "triples.tsv").open("a") as triples:
        triples.write("hippocamp\torbits\tneptune\n")
    second = kepipe("run", pipeline)
    assert "continues from going-on version 1, the champion" in more_text
    assert "a new linker is made, and all documents are linked: the graph has changed" in second
    assert "1 documents are new, 0 of them changed, 0 were removed" in second
    assert (
        "42 entities keep their vectors, 1 are new, 0 were removed: 1 of the new ones get a vector from their"
        in second
    )
    found = json.loads(Path("workspace/going-on/retraining-report/retraining.json").read_text())
    counts = {name: number for name, number in found["counts"].items() if name.startswith(("new", "gone"))}
    assert counts == {
        "new_documents": 1, "gone_documents": 0, "new_entities": 1, "gone_entities": 0, "new_triples": 1,
        "gone_triples": 0, "new_aliases": 0, "gone_aliases": 0,
    }  # fmt: skip
    assert found["entities"] == ["Hippocamp"]
    assert found["coverage"]["new text"]["mentions"] >= 2
    assert {"mlm_loss/tokens", "graph_quiz/accuracy"} <= found["old"].keys()
    kepipe("track", "sync")
    assert re.search(r"version 2 (promoted|refused)", kepipe("models", "history", "going-on"))
    third = kepipe("run", pipeline)
    assert "pretrain   starts" not in third  # a promotion fires no training
