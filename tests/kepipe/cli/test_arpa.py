"""`kepipe import-arpa`, and the export of the model as an ARPA file by `kepipe export`."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from kepipe.cli import app
from kepipe.models.ngram import arpa
from kepipe.models.ngram.vocabulary import SPECIAL
from tests.support.ngrams import estimated, zipf

WORDS = [*SPECIAL, *(f"w{number}" for number in range(3, 20))]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    made = tmp_path / "lm.arpa.gz"
    arpa.write(made, estimated(zipf(1, 90, 20), 20, 3, "kneser-ney", tmp_path), WORDS)
    return made


def kepipe(*arguments: object) -> str:
    ended = CliRunner().invoke(app, [str(one) for one in arguments])
    assert ended.exit_code == 0, ended.output
    return ended.output


def test_imported_arpa_generates_and_exports_the_same_model(file: Path, tmp_path: Path) -> None:
    output = kepipe("import-arpa", file, tmp_path / "lm")
    assert "20 of order 1" in output
    assert "19 of 20 words are tokens" in output, "nothing writes <s>"
    written = kepipe("generate", tmp_path / "lm", "w3 w4", "--limit", 3)
    assert written.startswith("w3 w4")
    drawn = kepipe("generate", tmp_path / "lm", "w3", "--temperature", 1, "--count", 4, "--seed", 5)
    assert drawn == kepipe("generate", tmp_path / "lm", "w3", "--temperature", 1, "--count", 4, "--seed", 5)
    assert len(set(drawn.splitlines())) > 1
    kepipe("export", tmp_path / "lm", tmp_path / "out")
    ours, theirs = (arpa.read(one) for one in (file, tmp_path / "out" / "model.arpa.gz"))
    assert ours[1] == theirs[1]
    for one, other in zip(ours[0].log_probs, theirs[0].log_probs, strict=True):
        assert one.tolist() == other.tolist()


def test_import_arpa_rejects_a_non_empty_folder(file: Path, tmp_path: Path) -> None:
    ended = CliRunner().invoke(app, ["import-arpa", str(file), str(tmp_path)])
    assert ended.exit_code == 2
    assert file.exists()


def test_n_gram_model_rejects_beam_search(file: Path, tmp_path: Path) -> None:
    kepipe("import-arpa", file, tmp_path / "lm")
    ended = CliRunner().invoke(app, ["generate", str(tmp_path / "lm"), "w3", "--beams", "2"])
    assert str(ended.exception).endswith("has no beam search: remove beams")
