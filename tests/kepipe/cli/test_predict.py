"""`kepipe predict`: texts, files of any length, standard input; resuming after a kill; invalid lines."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from kepipe.cli import app
from kepipe.cli.predict_files import BATCH_SIZE, InputText, answer_all
from kepipe.files import lock
from kepipe.finetuning.predictor import Predictor
from tests.support.tasks import base_model, finetune, write_task
from tests.support.waiting import until

GOOD, BAD = "we saw a lovely day", "the rain was awful"
MANY = 8 * BATCH_SIZE


@pytest.fixture(scope="module")
def tuned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp("tuned")
    data = write_task(folder / "data", "classification", 200, 20)
    return finetune(folder / "work", base_model(folder / "base", layers=1), "classification", data).folder


@pytest.fixture(scope="module")
def relations(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp("relations")
    data = write_task(folder / "data", "relations", 40, 10)
    return finetune(folder / "work", base_model(folder / "base"), "relations", data, epochs=1).folder


def predict(*words: str | Path, given: str | None = None) -> Result:
    return CliRunner().invoke(app, ["predict", *map(str, words)], input=given)


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines() if line.startswith("{")]


def test_predict_keeps_order_and_ids_of_a_file(tuned: Path, tmp_path: Path) -> None:
    direct = lines(predict(tuned, GOOD, BAD, "--json").stdout)
    assert [record["predicted"] for record in direct] == ["1", "0"]
    (tmp_path / "t.txt").write_text(f"{GOOD}\n\n{BAD}\n")
    (tmp_path / "t.jsonl").write_text(
        f'{{"id": "x", "text": "{GOOD}"}}\n{{"body": 1}}\n{{"text": "{BAD}"}}\n'
    )
    for name, ids in (("t.txt", ["1", "3"]), ("t.jsonl", ["x", "3"])):
        ended = predict(tuned, "--file", tmp_path / name, "--out", tmp_path / "out.jsonl")
        assert ended.exit_code == 0, ended.output
        found = lines((tmp_path / "out.jsonl").read_text())
        assert [record["id"] for record in found] == ids
        assert [record["text"] for record in found] == [GOOD, BAD]
        assert [(record["predicted"], record["probability"]) for record in found] == [
            (record["predicted"], pytest.approx(record["probability"])) for record in direct
        ]
    assert "t.jsonl:2: `text` is missing" in ended.output
    piped = predict(tuned, "--file", "-", "--json", given=f"{GOOD}\n{BAD}\n")
    assert [record["predicted"] for record in lines(piped.stdout)] == ["1", "0"]
    as_json = predict(tuned, "--file", "-", "--json", given=(tmp_path / "t.jsonl").read_text())
    assert [record["id"] for record in lines(as_json.stdout)] == ["x", "3"]
    assert {path.name for path in tmp_path.iterdir()} == {"t.txt", "t.jsonl", "out.jsonl"}


def test_predict_prints_what_a_bert_writes(tmp_path: Path) -> None:
    data = write_task(tmp_path / "data", "text-to-text")
    settings: dict[str, Any] = {"epochs": 16, "learning_rate": 2e-3, "batch_tokens": 128}
    settings["generation"] = {"max_new_tokens": 8, "num_beams": 2}
    start = base_model(tmp_path / "base", segments=6)
    writer = finetune(tmp_path / "work", start, "text-to-text", data, **settings).folder
    (tmp_path / "t.txt").write_text("the old lovely day\nwe saw awful rain\n")
    ended = predict(writer, "--file", tmp_path / "t.txt", "--out", tmp_path / "out.jsonl")
    assert ended.exit_code == 0, ended.output
    found = [record["predicted"] for record in lines((tmp_path / "out.jsonl").read_text())]
    assert found == ["we saw a lovely day", "the rain was long"]


def test_predict_needs_no_more_memory_for_a_longer_file(tuned: Path, tmp_path: Path) -> None:
    """Python's and numpy's own count, so that the machine and its allocator do not matter."""
    file, out, peaks = tmp_path / "t.txt", tmp_path / "out.jsonl", []
    for texts in (BATCH_SIZE, 4 * BATCH_SIZE, 12 * BATCH_SIZE):
        file.write_text("".join(f"{GOOD} {number}\n" for number in range(texts)))
        tracemalloc.start()
        ended = predict(tuned, "--file", file, "--out", out)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert ended.exit_code == 0, ended.output
        assert len(out.read_bytes().splitlines()) == texts
    assert peaks[2] < peaks[1] + 1_000_000, f"{peaks}; the first includes imports"


def test_killed_predict_resumes_with_the_same_bytes(tuned: Path, tmp_path: Path) -> None:
    file, out = tmp_path / "t.txt", tmp_path / "out.jsonl"
    file.write_text("".join(f"{GOOD if number % 3 else BAD} {number}\n" for number in range(MANY)))
    words = ["predict", str(tuned), "--file", str(file), "--out", str(out)]
    assert CliRunner().invoke(app, words).exit_code == 0
    whole = out.read_bytes()
    out.unlink()
    partial = tmp_path / "out.jsonl.partial"
    with subprocess.Popen([sys.executable, "-m", "kepipe", *words], stderr=subprocess.DEVNULL) as process:
        until(lambda: process.poll() is not None or (partial.exists() and partial.stat().st_size > 0))
        process.send_signal(signal.SIGKILL)
    if partial.exists():
        with partial.open("a") as stream:
            stream.write('{"id": "cut')  # as after a kill during a write
        ended = CliRunner().invoke(app, words)
        assert "resuming after" in ended.output
    assert out.read_bytes() == whole
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.jsonl", "t.txt"]
    partial.write_bytes(whole[:1000])
    (tmp_path / "out.jsonl.partial.job").write_text("another")
    assert "going on" not in CliRunner().invoke(app, words).output
    assert out.read_bytes() == whole


def test_predict_reads_one_batch_at_a_time(tuned: Path) -> None:
    read = 0

    def endless() -> Iterator[InputText]:
        nonlocal read
        while True:
            read += 1
            yield InputText(str(read), GOOD)

    for number, records in zip(range(1, 3), answer_all(Predictor.open(tuned), endless()), strict=False):
        assert len(records) == BATCH_SIZE
        assert read == number * BATCH_SIZE


def test_predict_reports_an_invalid_text_and_answers_the_others(relations: Path, tmp_path: Path) -> None:
    right = "[[ann|head]] owns [[bob|tail]]"
    (tmp_path / "t.txt").write_text(f"{right}\nann owns bob\n{right}\n")
    ended = predict(relations, "--file", tmp_path / "t.txt", "--out", tmp_path / "out.jsonl")
    assert ended.exit_code == 0, ended.output
    found = lines((tmp_path / "out.jsonl").read_text())
    assert ["error" in record for record in found] == [False, True, False]
    assert "1 texts are invalid for the task" in ended.output
    shown = predict(relations, "--file", tmp_path / "t.txt")
    assert [bool(line) for line in shown.stdout.splitlines()] == [True, False, True]
    assert "kepipe: 2: " in shown.stderr


def test_failed_predict_keeps_an_existing_output(tuned: Path, tmp_path: Path) -> None:
    (tmp_path / "t.txt").touch()
    (tmp_path / "out.jsonl").write_text("before")
    assert "no text" in str(
        predict(tuned, "--file", tmp_path / "t.txt", "--out", tmp_path / "out.jsonl").exception
    )
    assert (tmp_path / "out.jsonl").read_text() == "before"


def test_concurrent_predict_into_one_file_is_rejected(tuned: Path, tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_text(GOOD)
    with lock(tmp_path / "out.jsonl.partial.lock"):
        ended = predict(tuned, "--file", tmp_path / "t.txt", "--out", tmp_path / "out.jsonl")
    assert "another process is writing it" in str(ended.exception)


@pytest.mark.parametrize(
    ("words", "why"),
    [
        ([], "give texts, or --file"),
        (["a text", "--out", "o.jsonl"], "--out needs --file"),
        (["--file", "-", "--out", "o.jsonl"], "standard input cannot be resumed"),
        (["--file", "none.txt"], "none.txt: no such file"),
        (["--file", "empty.txt"], "empty.txt: contains no text"),
    ],
)
def test_invalid_predict_arguments_are_reported(
    tuned: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], why: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("empty.txt").touch()
    ended = predict(tuned, *words)
    assert ended.exit_code != 0
    assert why in str(ended.exception)
