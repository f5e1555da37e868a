"""The pipelines that come with kepipe are found by name, from any folder, in a checkout and in a wheel."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from kepipe.config import ConfigError
from kepipe.pipeline import load
from kepipe.pipeline.shipped import copy, find, shipped, summary

ROOT = Path(__file__).parents[3]


def test_included_pipeline_name_and_file_path_are_resolved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert find(Path("quickstart")) == ROOT / "pipelines" / "quickstart.yaml"
    (tmp_path / "example").mkdir()
    assert find(Path("example")) == ROOT / "docs" / "example" / "pipeline.yaml"
    (tmp_path / "bert").write_text("name: mine\n")
    assert find(Path("bert")) == Path("bert")


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (
            "pipelines/quickstart.yaml",
            "no such file; use `quickstart` for the included pipeline",
        ),
        ("quickstrt", "no such file, and no included pipeline of this name; did you mean `quickstart`"),
        ("folder/mine.yaml", r"mine.yaml: no such file$"),
        ("project", "is a folder, not a pipeline file; did you mean `project/mine.yaml`"),
        (
            "gpt",
            "gpt: both an included pipeline and a folder; give the file: `gpt/gpt.yaml`, or `/.*gpt.yaml`",
        ),
    ],
)
def test_unknown_pipeline_suggests_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: str, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "project").mkdir()
    (tmp_path / "project" / "mine.yaml").write_text("name: mine\n")
    copy("gpt", tmp_path / "gpt")
    with pytest.raises(ConfigError, match=message):
        find(Path(given))


def test_included_pipeline_has_a_summary() -> None:
    for name, file in shipped().items():
        told = summary(file)
        assert len(told.split()) > 5, name
        assert not {"Command:", "Hardware:", "#"} & set(told.split()), name


def test_copy_copies_the_example_and_overwrites_nothing(tmp_path: Path) -> None:
    file = copy("example", tmp_path / "mine")
    flow, _ = load(file)
    graph = next(node.config for node in flow.nodes if node.name == "graph")
    assert graph.model_dump()["path"] == tmp_path / "mine"
    assert copy("quickstart", tmp_path / "mine") == tmp_path / "mine" / "quickstart.yaml"
    with pytest.raises(ConfigError, match="already exists; choose another folder"):
        copy("quickstart", tmp_path / "mine")
    with pytest.raises(
        ConfigError, match="there is no included pipeline `quikstart`; did you mean `quickstart`"
    ):
        copy("quikstart", tmp_path)


def test_built_package_includes_the_pipelines(tmp_path: Path) -> None:
    for name in ("pyproject.toml", "setup.py", "README.md"):
        shutil.copy(ROOT / name, tmp_path / name)
    for name in ("kepipe", "kg", "pipelines", "docs/example"):
        shutil.copytree(ROOT / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    build = [sys.executable, "setup.py", "--quiet", "build_py", "--build-lib", "built"]
    subprocess.run(build, cwd=tmp_path, check=True, capture_output=True)
    for name in ("pipelines", "docs"):  # files next to the package must not be found
        shutil.rmtree(tmp_path / name)
    program = (
        "import kepipe; from kepipe.pipeline.shipped import copy, shipped\n"
        "assert 'built' in kepipe.__file__\n"
        "assert all(file.is_file() for file in shipped().values())\n"
        "copy('example', __import__('pathlib').Path('mine'))\n"
        "print(*shipped())"
    )
    environment = {**os.environ, "PYTHONPATH": str(tmp_path / "built")}
    ended = subprocess.run(
        [sys.executable, "-c", program],
        cwd=tmp_path / "built",
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.split() == list(shipped())
    assert (tmp_path / "built" / "mine" / "texts" / "moons.jsonl").is_file()
