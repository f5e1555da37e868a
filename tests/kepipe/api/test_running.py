"""The arguments of `kepipe.run` become those of `kepipe run`."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

import kepipe
from kepipe.api.running import assignments, place_of
from kepipe.config import ConfigError, Settings, override


def test_values_of_every_type_are_written_as_yaml(tmp_path: Path) -> None:
    given = {
        "a.number": 3,
        "a.rate": 1e-05,
        "a.text": "yes: no # ü 中",
        "a.lines": "one\ntwo ",
        "a.digits": "007",
        "a.nothing": None,
        "a.flag": True,
        "a.list": [1, "two"],
        "b": {"method": "k-bert"},
    }
    data = override(Settings({"a": {"kept": 1}}, tmp_path), assignments(given)).data
    assert data["a"] == {"kept": 1} | {key[2:]: value for key, value in given.items() if key != "b"}
    assert data["b"] == given["b"]
    assert assignments({"a": tmp_path}) == [f"a={tmp_path}"]
    assert assignments(["a.number=3"]) == ["a.number=3"]
    with pytest.raises(TypeError, match="expected a mapping of settings, or a list"):
        assignments("a.number=3")


def test_the_workspace_is_the_given_one_or_that_of_the_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("KEPIPE_WORKSPACE", raising=False)
    assert place_of(None) == Path("workspace")
    monkeypatch.setenv("KEPIPE_WORKSPACE", "elsewhere")
    assert place_of(None) == Path("elsewhere")
    assert place_of("here") == Path("here")


def test_progress_is_printed_as_by_the_command_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("KEPIPE_TRACKING", "off")
    (tmp_path / "triples.tsv").write_text("a\tr\tb\nb\tr\tc\n")
    file = tmp_path / "graphs.yaml"
    file.write_text(
        yaml.safe_dump({"name": "graphs", "graph": {"source": "native", "path": "."}, "stages": {}})
    )
    workspace = tmp_path / "workspace"
    made = kepipe.run(file, workspace=workspace)
    assert "graph      done in" in capsys.readouterr().out
    assert made.folders == {"graph": (workspace / "graphs" / "graph").resolve()}
    assert made.report is None
    assert made.scores == {}
    again = kepipe.run(file, workspace=workspace, progress=False)
    assert again.folders == made.folders
    assert again.run != made.run
    assert capsys.readouterr().out == ""
    with pytest.raises(ConfigError, match="no stage `grahp`; did you mean `graph`"):
        kepipe.run(file, workspace=workspace, until="grahp")


def test_starting_under_a_launcher_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(ValueError, match=r"stages\.pretrain\.processes=2"):
        kepipe.run("example")
