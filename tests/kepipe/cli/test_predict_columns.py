"""Predicted tags as CoNLL columns: of texts, of files, after a kill, and of the stage's test data."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from kepipe.cli import app
from kepipe.cli.predict_files import resumable
from kepipe.finetuning import tagging
from kg.problems import Problems
from tests.support.tasks import base_model, finetune, write_task


@pytest.fixture(scope="module")
def tuned(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp("tags")
    data = write_task(folder / "data", "tagging", 300, 40)
    return finetune(folder / "work", base_model(folder / "base", layers=1), "tagging", data).folder


def predict(*words: str | Path) -> Result:
    return CliRunner().invoke(app, ["predict", *map(str, words)])


def test_conll_output_has_one_word_and_label_per_line(tuned: Path) -> None:
    ended = predict(tuned, "ann fine saw oslo", "the rain", "--conll")
    assert ended.exit_code == 0, ended.output
    assert ended.stdout == (
        "# id = text 1\nann\tB-PER\nfine\tI-PER\nsaw\tO\noslo\tB-CITY\n\n# id = text 2\nthe\tO\nrain\tO\n\n"
    )


def test_conll_output_can_be_read_as_data(tuned: Path, tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_text("we saw lima\n\nbob great\n")
    ended = predict(tuned, "--file", tmp_path / "t.txt", "--out", tmp_path / "out.conll", "--conll")
    assert ended.exit_code == 0, ended.output
    found = list(tagging.read(tmp_path / "out.conll", Problems(strict=True)))
    assert [(e.text, e.labels) for e in found] == [
        ("we saw lima", ("O", "O", "B-CITY")),
        ("bob great", ("B-PER", "I-PER")),
    ]


def test_conll_resume_keeps_whole_sentences(tmp_path: Path) -> None:
    out = tmp_path / "out.conll"
    block, refused = "# id = 1\nbob\tB-PER\n\n", "# id = 2\n# error = no\n\n"
    (tmp_path / "out.conll.partial").write_text(block + refused + "# id = 3\ncut")
    (tmp_path / "out.conll.partial.job").write_text("job")
    with resumable(out, "job", "conll") as (stream, totals):
        assert (totals.texts, totals.refused) == (2, 1)
        stream.write(block)
    assert out.read_text() == block + refused + block


def test_predictions_conll_has_gold_and_predicted_labels(tuned: Path) -> None:
    text = (tuned / "predictions.conll").read_text()
    columns = [line.split("\t") for line in text.splitlines() if line and not line.startswith("# id = ")]
    assert {len(cells) for cells in columns} == {3}
    same = sum(gold == predicted for _, gold, predicted in columns) / len(columns)
    assert same > 0.9
    assert text.count("# id = test ") == text.count("# id = dev ") == 40


def test_conll_output_is_rejected_for_other_tasks(tmp_path: Path, tuned: Path) -> None:
    data = write_task(tmp_path / "data", "classification", 40, 10)
    other = finetune(tmp_path / "w", base_model(tmp_path / "b", layers=1), "classification", data, epochs=1)
    assert "does not label words" in str(predict(other.folder, "a day", "--conll").exception)
    assert "mutually exclusive" in str(predict(tuned, "a day", "--conll", "--json").exception)
