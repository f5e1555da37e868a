"""The graph commands: import, validate, describe, query, draw."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from kepipe.cli.graph import app
from kepipe.cli.graph_place import replacing

SPO = "库克\tCEO\t苹果\n坏\n北京\t首都\t中国\n库克\t访问\t北京\n"


def call(*arguments: object) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def store(tmp_path: Path) -> Path:
    (tmp_path / "g.spo").write_text(SPO, encoding="utf-8")
    result = call("import", tmp_path / "g.spo", "--out", tmp_path / "g")
    assert result.exit_code == 0, result.output
    assert "4 entities, 3 relations, 3 triples" in result.stdout
    assert "g.spo:2: expected subject" in result.stderr
    return tmp_path / "g"


def test_import_writes_its_report_and_overwrites_only_with_force(store: Path) -> None:
    assert json.loads((store / "problems.json").read_text())["count"] == 1
    source = store.with_name("g.spo")
    again = call("import", source, "--out", store)
    assert isinstance(again.exception, FileExistsError)
    assert call("import", source, "--out", store, "--force").exit_code == 0
    strict = call("import", source, "--out", store, "--force", "--strict")
    assert "g.spo:2" in str(strict.exception)
    assert (store / "graph.json").is_file()  # a failed import removes nothing
    elsewhere = call("import", source, "--out", store.parent)
    assert "not empty and not a graph" in str(elsewhere.exception)


def test_failed_import_leaves_no_files_and_changes_no_others(tmp_path: Path) -> None:
    (tmp_path / "bad.spo").write_text("bad")
    (tmp_path / "g.partial").mkdir()
    (tmp_path / "g.partial" / "mine").touch()
    result = call("import", tmp_path / "bad.spo", "--out", tmp_path / "g")
    assert "no triples to train on" in str(result.exception)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["bad.spo", "g.partial"]
    assert (tmp_path / "g.partial" / "mine").is_file()
    onto_file = call("import", tmp_path / "bad.spo", "--out", tmp_path / "bad.spo")
    assert "not empty and not a graph" in str(onto_file.exception)


def test_killed_import_keeps_the_old_graph_and_can_be_repeated(store: Path, tmp_path: Path) -> None:
    program = f"""
import os, signal
from kepipe.cli.graph import app
from kg.writer import GraphWriter
GraphWriter.finish = lambda self: os.kill(os.getpid(), signal.SIGKILL)
app(["import", {str(tmp_path / "g.spo")!r}, "--out", {str(store)!r}, "--force"])
"""
    before = {file.name: file.read_bytes() for file in store.iterdir()}
    killed = subprocess.run([sys.executable, "-c", program], check=False, capture_output=True)
    assert killed.returncode == -signal.SIGKILL
    assert {file.name: file.read_bytes() for file in store.iterdir()} == before
    assert (tmp_path / "g.importing/graph").is_dir()
    assert call("import", tmp_path / "g.spo", "--out", store, "--force").exit_code == 0
    assert {file.name: file.read_bytes() for file in store.iterdir()} == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["g", "g.spo"]


def test_concurrent_import_into_the_same_folder_is_rejected(store: Path, tmp_path: Path) -> None:
    with replacing(store) as folder:
        again = call("import", tmp_path / "g.spo", "--out", store, "--force")
        folder.mkdir()
    assert "another import is writing it" in str(again.exception)
    assert not any(store.iterdir())


def test_old_graph_is_restored_if_replacing_it_failed(store: Path, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError), replacing(store):
        pass  # nothing was made
    assert (store / "graph.json").is_file()
    (tmp_path / "g.importing").mkdir()
    (tmp_path / "g.importing/import.lock").touch()
    store.rename(tmp_path / "g.importing/old")  # as after a kill between the two steps
    (tmp_path / "bad.spo").write_text("bad")
    assert call("import", tmp_path / "bad.spo", "--out", store).exit_code == 1
    assert (store / "graph.json").is_file()
    assert not (tmp_path / "g.importing").exists()


def test_import_keeps_other_files_in_its_temporary_folder(tmp_path: Path) -> None:
    (tmp_path / "g.spo").write_text(SPO, encoding="utf-8")
    (tmp_path / "g.importing").mkdir()
    (tmp_path / "g.importing/mine").touch()
    result = call("import", tmp_path / "g.spo", "--out", tmp_path / "g")
    assert "has other files; move it away" in str(result.exception)
    assert (tmp_path / "g.importing/mine").is_file()


def test_import_reports_unused_options_and_duplicate_triples(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "train.tsv").write_text("a\tr\tb\na\tr\tb\n")
    (folder / "test.tsv").write_text("a\tr\tb\nb\tr\ta\n")
    result = call("import", folder, "--out", tmp_path / "g", "--hold-out", 0.1, "--language", "zh")
    assert result.stderr.splitlines() == [
        "--language has no effect for the format native",
        "taken: facts: 4 (train.tsv 2, test.tsv 2)",
        "left out: repeated triples: 1",
        "left out: test triples that an earlier split has: 1",
        "--hold-out has no effect: the source has its own splits",
    ]
    few = call("import", folder / "train.tsv", "--out", tmp_path / "few", "--hold-out", 0.1)
    assert "too few triples can be held out" in few.stderr


def test_import_hold_out_makes_a_test_split(tmp_path: Path) -> None:
    (tmp_path / "g.spo").write_text("".join(f"e{n % 7}\tr\te{n % 11}\n" for n in range(77)))
    result = call("import", tmp_path / "g.spo", "--out", tmp_path / "g", "--hold-out", 0.1)
    assert "train" in result.stdout
    assert "test" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("nowhere.nt",), "nowhere.nt: no such file"),
        ((__file__,), "cannot tell its format"),
        ((__file__, "--format", "xls"), "--format xls: expected one of geonames, obo-json, obo"),
        ((__file__, "--format", "csv", "--columns", "a,b"), "expected three column names"),
        ((__file__, "--format", "spo"), "no triples"),
    ],
)
def test_invalid_import_is_reported(tmp_path: Path, arguments: tuple[str, ...], message: str) -> None:
    result = call("import", *arguments, "--out", tmp_path / "g")
    assert isinstance(result.exception, ValueError | OSError)
    assert message in str(result.exception)


def test_graph_validate_reports_problems_and_damage(store: Path) -> None:
    assert call("validate", store).exit_code == 0
    source = call("validate", store.with_name("g.spo"))
    assert source.exit_code == 1
    assert "1 problem" in source.stderr
    (store / "prior.npy").write_bytes(b"")
    damaged = call("validate", store)
    assert damaged.exit_code == 1
    assert "error: the files differ" in damaged.stdout


def test_graph_describe_writes_page_and_graphml(store: Path, tmp_path: Path) -> None:
    result = call("describe", store, "--html", tmp_path / "g.html", "--graphml", tmp_path / "g.graphml")
    assert result.exit_code == 0, result.exception
    assert "connected components: 1, the largest of 4 entities" in result.stdout
    page = (tmp_path / "g.html").read_text(encoding="utf-8")
    assert "4 entities in 3 triples" in page
    assert "CEO" in page
    assert call("validate", tmp_path / "g.graphml").exit_code == 0


def test_graph_query_lists_triples_and_suggests_names(store: Path) -> None:
    result = call("query", store, "北京")
    assert "北京 – 首都 → 中国" in result.stdout
    assert "库克 – 访问 → 北京" in result.stdout
    few = call("query", store, "库克", "--limit", 1)
    assert few.stdout.count("→") == 1
    assert "… 1 more (--limit)" in few.stdout
    missing = call("query", store, "京")
    assert "no entity has the name '京'" in str(missing.exception)
    assert "did you mean '北京'" in str(missing.exception)


def test_graph_query_limit_keeps_rare_relations(tmp_path: Path) -> None:
    lines = [*(f"t{n}\tin\tc\n" for n in range(30)), "m\tmayor of\tc\n"]
    (tmp_path / "g.spo").write_text("".join(lines))
    assert call("import", tmp_path / "g.spo", "--out", tmp_path / "g").exit_code == 0
    shown = call("query", tmp_path / "g", "c", "--limit", 5).stdout.splitlines()
    assert shown[1:4] == ["out: 0", "in: 31", "  m – mayor of → c"]
    assert len([line for line in shown if " – in → c" in line]) == 4
    assert shown[-1] == "  … 26 more (--limit)"
    (one,) = [
        line for line in call("query", tmp_path / "g", "c", "--limit", 1).stdout.splitlines() if "→" in line
    ]
    assert one == "  m – mayor of → c"


def test_graph_query_limits_aliases_and_prints_a_large_prior(tmp_path: Path) -> None:
    entity = {"id": "a", "aliases": [f"name {n}" for n in range(10_000)], "prior": 3_426_354}
    (tmp_path / "entities.jsonl").write_text(json.dumps(entity))
    (tmp_path / "triples.tsv").write_text("a\tr\tb\n")
    assert call("import", tmp_path, "--out", tmp_path / "g").exit_code == 0
    shown = call("query", tmp_path / "g", "a", "--limit", 2).stdout.splitlines()
    assert shown[1:3] == ["also called: name 0, name 1, … 9,998 more (--limit)", "prior: 3,426,354"]


def test_draw_with_unknown_file_ending_lists_the_supported_ones(store: Path) -> None:
    result = call("draw", store, "库克", "--out", store / "x.bmp")
    assert "expected a name that ends with .png, .svg, .pdf, .html or .graphml" in str(result.exception)


@pytest.mark.parametrize("ending", ["svg", "html", "graphml"])
def test_graph_draw_writes_names_into_the_picture(store: Path, tmp_path: Path, ending: str) -> None:
    file = tmp_path / f"x.{ending}"
    result = call("draw", store, "库克", "--out", file, "--hops", 2)
    assert result.exit_code == 0, result.exception
    assert "中国" in file.read_text(encoding="utf-8")
