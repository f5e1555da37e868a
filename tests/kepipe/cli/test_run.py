"""Errors of `kepipe run`: a message with the location, an exit code, no traceback."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from kepipe.cli import main

EXAMPLE = Path(__file__).parents[3] / "docs" / "example"


@pytest.fixture
def example(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of the docs' example whose files a test may change."""
    monkeypatch.setenv("KEPIPE_TRACKING", "off")
    monkeypatch.setenv("KEPIPE_WORKSPACE", str(tmp_path / "workspace"))
    shutil.copytree(EXAMPLE, tmp_path / "example")
    return tmp_path / "example"


def kepipe(monkeypatch: pytest.MonkeyPatch, *arguments: str | Path) -> int:
    """The exit code of a command run in this process."""
    monkeypatch.setattr(sys, "argv", ["kepipe", *map(str, arguments)])
    monkeypatch.setenv("PYTHONSAFEPATH", "1")  # `main` sets it, and the tests that follow must not have it
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        (
            "steps: 60",
            "stepz: 60",
            "pipeline.yaml:15: unknown key `stages.pretrain.stepz`; did you mean `steps`?",
        ),
        ("steps: 60", "steps: many", "pipeline.yaml:15: `stages.pretrain.steps`"),
        ("path: texts", "path: text", "pipeline.yaml:6: `corpus.path`: no such file or folder"),
        (
            "name: example\ngraph",
            "name: example\ndevice: cuda:7\ngraph",
            "`device: cuda:7` cannot be used here",
        ),
        (
            "knowledge: ernie-baidu",
            "knowledge: ernie",
            "unknown knowledge method 'ernie'; did you mean `ernie-baidu`?",
        ),
    ],
)
def test_config_mistake_is_located_and_exits_with_2(
    example: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    before: str,
    after: str,
    said: str,
) -> None:
    file = example / "pipeline.yaml"
    text = file.read_text()
    assert before in text
    file.write_text(text.replace(before, after, 1))
    assert kepipe(monkeypatch, "run", file, "--until", "graph") == 2
    errors = capsys.readouterr().err
    assert said in errors
    assert "Traceback" not in errors


def test_missing_pipeline_and_unknown_stage_exit_with_2(
    example: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert kepipe(monkeypatch, "run", example / "none.yaml") == 2
    assert "none.yaml: no such file" in capsys.readouterr().err
    assert kepipe(monkeypatch, "run", example / "pipeline.yaml", "--until", "lnik") == 2
    assert "no stage `lnik`; did you mean `link`?" in capsys.readouterr().err


def test_unwritable_workspace_is_reported(
    example: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (example / "file").write_text("")
    monkeypatch.setenv("KEPIPE_WORKSPACE", str(example / "file" / "workspace"))
    assert kepipe(monkeypatch, "run", example / "pipeline.yaml", "--until", "graph") == 2
    assert "file/workspace: Not a directory; choose another with `--workspace DIR`" in capsys.readouterr().err


def test_empty_corpus_exits_with_1_and_names_the_skipped_file(
    example: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.rmtree(example / "texts")
    (example / "texts").mkdir()
    (example / "texts" / "blank.txt").write_text("\n\n")
    assert kepipe(monkeypatch, "run", example / "pipeline.yaml", "--until", "corpus") == 1
    told = capsys.readouterr()
    assert "the corpus is empty" in told.err
    assert "blank.txt" in told.out


def test_corpus_in_another_language_than_the_graph_is_warned_about(
    example: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    shutil.rmtree(example / "texts")
    (example / "texts").mkdir()
    (example / "texts" / "zh.txt").write_text(
        "土卫六是土星最大的卫星。惠更斯发现了土卫六。", encoding="utf-8"
    )
    plain = ["--set", "stages.link.spacy_model=null", "--set", "stages.link.workers=1"]
    assert kepipe(monkeypatch, "run", example / "pipeline.yaml", "--until", "link", *plain) == 0
    assert "warning: no name of the graph was found" in capsys.readouterr().out


def test_invalid_lines_are_counted_and_skipped_or_rejected_with_strict(
    example: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with (example / "triples.tsv").open("a") as stream:
        stream.write("only-two\tcolumns\n")
    (example / "texts" / "latin1.txt").write_bytes(b"fine\ncaf\xe9\n")
    assert kepipe_done(monkeypatch, "run", example / "pipeline.yaml", "--only", "graph", "--only", "corpus")
    told = capsys.readouterr().out
    lines = len((example / "triples.tsv").read_text().splitlines())
    assert f"triples.tsv:{lines}" in told
    assert "latin1.txt:2" in told
    kept = next((example.parent / "workspace" / "example" / "graph").resolve().glob("problems.json"))
    assert json.loads(kept.read_text())["count"] == 1
    strict = ["--set", "graph.strict=true"]
    assert kepipe(monkeypatch, "run", example / "pipeline.yaml", "--only", "graph", *strict) == 1
    assert f"triples.tsv:{lines}" in capsys.readouterr().err


def kepipe_done(monkeypatch: pytest.MonkeyPatch, *arguments: str | Path) -> bool:
    return kepipe(monkeypatch, *arguments) == 0


def test_debug_option_shows_the_traceback(example: Path) -> None:
    command = [sys.executable, "-m", "kepipe", "plan", str(example / "none.yaml"), "--debug"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode != 0
    assert "Traceback" in ended.stderr


def test_help_imports_no_heavy_libraries() -> None:
    program = (
        "import sys; from kepipe.cli import app; sys.argv = ['kepipe', '--help']\n"
        "try: app()\nexcept SystemExit: pass\n"
        "heavy = {'torch', 'spacy', 'mlflow', 'pykeen', 'transformers', 'numpy', 'pydantic'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert "Run a pipeline" in ended.stdout


def test_cached_run_imports_no_heavy_libraries(example: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert kepipe_done(monkeypatch, "run", example / "pipeline.yaml", "--only", "graph", "--only", "corpus")
    program = (
        "import sys; sys.argv = ['kepipe', 'run', sys.argv[1], '--only', 'graph', '--only', 'corpus']\n"
        "from kepipe.cli import main\n"
        "try: main()\nexcept SystemExit as ended: assert not ended.code\n"
        "heavy = {'torch', 'spacy', 'mlflow', 'pykeen', 'transformers'} & set(sys.modules)\n"
        "assert not heavy, heavy"
    )
    command = [sys.executable, "-c", program, str(example / "pipeline.yaml")]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.count("cached, made by") == 2


@pytest.mark.parametrize("processes", ["2", "8"])
def test_several_launched_processes_are_rejected_naming_the_setting(
    example: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    processes: str,
) -> None:
    monkeypatch.setenv("WORLD_SIZE", processes)
    assert kepipe(monkeypatch, "run", example / "pipeline.yaml") == 2
    assert f"--set stages.pretrain.processes={processes}" in capsys.readouterr().err
