"""What people write is printed as it stands: brackets are no markup, and `:cat:` is no picture."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from kepipe.cli import app
from kg.schema import Entity, Relation, Triple
from kg.writer import write_graph

TEXT = "He [citation needed] saw :cat: in Lincoln [/ref] and Nebrasca."


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two Lincolns, whose ids and labels would be tags that close and open; one lies in [bold]Nebraska."""
    folder = tmp_path_factory.mktemp("brackets")
    entities = [
        Entity("[/ne]", "Lincoln [bold]", ("Lincoln",), prior=2.0),
        Entity("[red]uk", "Lincoln [/uk]", ("Lincoln",), prior=1.0),
        Entity("ne", "[bold]Nebraska", ("Nebraska",)),
    ]
    write_graph(folder, entities, [Relation("in", "[/in]")], {"train": [Triple("[/ne]", "in", "ne")]})
    return folder


@pytest.fixture(autouse=True)
def wide(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "250")


def run(*arguments: str) -> str:
    result = CliRunner().invoke(app, arguments, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_link_explains_names_in_brackets(graph: Path) -> None:
    told = run("link", "--explain", TEXT, "-l", str(graph), "--rules")
    for written in ("[/ne]", "Lincoln [bold]", "[red]uk", "Lincoln [/uk]"):
        assert written in told


def test_the_doctor_lists_names_in_brackets(graph: Path, tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text(TEXT)
    told = run("link", "doctor", str(tmp_path / "text.txt"), "-l", str(graph), "--rules")
    for written in ("Lincoln [bold]", "Lincoln [/uk]"):
        assert written in told


def test_a_text_with_brackets_is_drawn_whole(graph: Path) -> None:
    told = run("inject", TEXT, "-g", str(graph))
    for written in (TEXT, "Lincoln (Lincoln [bold])", "[/in] → [bold]Nebraska"):
        assert written in told
