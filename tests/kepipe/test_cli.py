"""Text of users is printed literally: brackets are no markup, `:cat:` is no emoji, escapes have no effect."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from kepipe import __version__
from kepipe.cli import app, main
from kg.schema import Entity, Relation, Triple
from kg.writer import write_graph

TEXT = "He [citation needed] saw :cat: in Lincoln [/ref] and Nebrasca."


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two Lincolns, whose ids and labels look like opening and closing tags; one lies in [bold]Nebraska."""
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


def test_link_explain_prints_names_in_brackets(graph: Path) -> None:
    output = run("link", "--explain", TEXT, "-l", str(graph), "--rules")
    for written in ("[/ne]", "Lincoln [bold]", "[red]uk", "Lincoln [/uk]"):
        assert written in output


def test_link_doctor_prints_names_in_brackets(graph: Path, tmp_path: Path) -> None:
    (tmp_path / "text.txt").write_text(TEXT)
    output = run("link", "doctor", str(tmp_path / "text.txt"), "-l", str(graph), "--rules")
    for written in ("Lincoln [bold]", "Lincoln [/uk]"):
        assert written in output


def test_text_with_brackets_is_printed_unchanged(graph: Path) -> None:
    output = run("inject", TEXT, "-g", str(graph))
    for written in (TEXT, "Lincoln (Lincoln [bold])", "[/in] → [bold]Nebraska"):
        assert written in output


HOSTILE = "\x1b]0;title\x07\x1b[31mred\x1b[2J\x9b31m\u202e"
OBEYED = ("\x1b]", "\x1b[31mred", "\x1b[2J", "\x07", "\x9b", "\u202e")


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A graph, texts and a pipeline whose labels, ids and file names contain terminal control sequences."""
    folder = tmp_path_factory.mktemp("hostile")
    (folder / "texts").mkdir()
    entities = [
        {
            "id": f"E{number}{HOSTILE}",
            "label": f"Name{number} {HOSTILE}",
            "aliases": [f"Name{number}", f"N{HOSTILE}"],
            "description": HOSTILE,
            "types": [f"t{HOSTILE}"],
        }
        for number in range(4)
    ]
    (folder / "entities.jsonl").write_text("".join(f"{json.dumps(one)}\n" for one in entities))
    triples = [f"{one['id']}\tr{HOSTILE}\t{entities[0]['id']}\n" for one in entities]
    (folder / "triples.tsv").write_text("".join(triples) + f"bad line {HOSTILE}\n", encoding="utf-8")
    (folder / "relations.tsv").write_text(f"r{HOSTILE}\trel {HOSTILE}\n", encoding="utf-8")
    text = f"Name1 met Name2 {HOSTILE} and Name3, again and again."
    (folder / "texts" / f"a{HOSTILE.replace('/', '')}.txt").write_text(text, encoding="utf-8")
    (folder / "texts" / f"b{HOSTILE}.jsonl").write_text(f"not JSON {HOSTILE}\n", encoding="utf-8")
    (folder / f"p{HOSTILE}.yaml").write_text(
        "name: p\ngraph: {source: native, path: .}\ncorpus: {source: folder, path: texts, held_out: 0}\n"
        "stages: {link: {spacy_model: null}}\n"
    )
    write_graph(
        folder / "stored",
        [Entity(f"E{number}{HOSTILE}", f"Name{number} {HOSTILE}", (f"Name{number}",)) for number in range(4)],
        [Relation(f"r{HOSTILE}", f"rel {HOSTILE}")],
        {"train": [Triple(f"E1{HOSTILE}", f"r{HOSTILE}", f"E2{HOSTILE}")]},
    )
    return folder


@pytest.mark.parametrize(
    "command",
    [
        "graph import {0} --out {1}",
        "graph validate {0}",
        "graph describe {0}/stored",
        "graph query {0}/stored Name1",
        "graph query {0}/stored {2}",
        "link --explain {2}Name1 -l {0}/stored --rules",
        "link {0}/texts -l {0}/stored --rules",
        "link doctor {0}/texts -l {0}/stored --rules",
        "link doctor {0}/none{2} -l {0}/stored --rules",
        "link nosuchcommand{2} --rules{2}",
        "inject Name1 -g {0}/stored",
        "config check {0}/p{2}.yaml",
        "config check {0}/p{2}.yaml --set stages.link.a{2}=1",
        "run {0}/p{2}.yaml -w {1} --until link",
        "run {0}/p{2}.yaml -w {1} --until {2}",
        "run {0}/p{2}.yaml -w {1} --until link --log-json",
        "schedule remove {2} -w {1}",
        "predict {0}/none{2} text",
        "few-shot {0}/none{2} {0}/none{2}",
    ],
)
def test_terminal_control_sequences_are_never_printed(
    hostile: Path,
    tmp_path: Path,
    command: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("KEPIPE_TRACKING", "off")
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("PYTHONSAFEPATH", "1")  # `main` sets it
    words = [word.format(hostile, tmp_path / "out", HOSTILE) for word in command.split()]
    monkeypatch.setattr(sys, "argv", ["kepipe", *words])
    monkeypatch.setattr(os, "umask", lambda mask: None)
    with pytest.raises(SystemExit):
        main()
    printed = "".join(capsys.readouterr())
    assert printed
    assert not [mark for mark in OBEYED if mark in printed], printed


def test_utf_8_file_names_work_in_any_locale(tmp_path: Path) -> None:
    (tmp_path / "Zürich ☃.tsv").write_text("Łódź\tliegt in\tPolen\n" * 2, encoding="utf-8")
    plain = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = subprocess.run(
        [sys.executable, "-m", "kepipe", "graph", "import", "Zürich ☃.tsv", "--out", "Städte"],
        cwd=tmp_path,
        env={**os.environ, **plain},
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "Städte" / "graph.json").is_file()


def test_unencodable_characters_are_printed_as_json_escapes(graph: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "kepipe", "graph", "query", str(graph), "Zürich ☃"],
        env={**os.environ, "PYTHONIOENCODING": "latin-1"},
        capture_output=True,
        check=False,
    )
    assert b"Z\xfcrich \\u2603" in done.stdout + done.stderr


def test_version_and_options_of_link_are_shown() -> None:
    shown = CliRunner().invoke(app, ["--version"])
    assert (shown.exit_code, shown.output) == (0, f"kepipe {__version__}\n")
    shown = CliRunner().invoke(app, ["link", "--help"], env={"COLUMNS": "200"})
    assert {"--explain", "--fuzzy", "train"} <= set(shown.output.split())


def commands(command: Any) -> Iterator[Any]:
    """A command, and those below it."""
    yield command
    for below in getattr(command, "commands", {}).values():
        yield from commands(below)


def squeezed(text: str) -> str:
    return "".join(text.replace("│", "").split())


def test_help_is_printed_with_its_brackets(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "1000")
    for command in commands(get_command(app)):
        command.main(["--help"], "kepipe", standalone_mode=False)
        shown = squeezed(capsys.readouterr().out)
        written = [command.help, *(getattr(one, "help", None) for one in command.params)]
        for text in filter(None, written):
            assert squeezed(text.replace("\\[", "[")) in shown
