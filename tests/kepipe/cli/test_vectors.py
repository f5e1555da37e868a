"""`kepipe vectors` from the command line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from kepipe.cli import app
from kepipe.inference.opening import open_model
from kepipe.models.static import formats
from kepipe.models.static.word_vectors import WordVectors

VECTORS = {
    "king": [1, 0, 1], "queen": [1, 1, 1], "man": [0, 0, 1], "woman": [0, 1, 1],
    "tiger": [-1, 0.2, -1], "cat": [-1, 0.3, -1],
}  # fmt: skip


@pytest.fixture
def file(tmp_path: Path) -> Path:
    vectors = WordVectors([*VECTORS], np.array([*VECTORS.values()], np.float32))
    formats.write(tmp_path / "v.txt.gz", vectors, "glove")
    return tmp_path / "v.txt.gz"


def run(*arguments: str, code: int = 0) -> str:
    result = CliRunner().invoke(app, ["vectors", *arguments])
    assert result.exit_code == code, result.output
    return result.output


def refusal(*arguments: str) -> str:
    """The error message, on one line."""
    return " ".join(run(*arguments, code=2).replace("│", " ").split())


def test_vectors_nearest_and_analogy_print_words(file: Path) -> None:
    output = run("nearest", str(file), "tiger", "king", "--count", "1")
    assert [line.split()[-1] for line in output.splitlines()] == ["tiger", "cat", "king", "queen"]
    assert run("analogy", str(file), "man", "king", "woman", "-n", "2").split()[1] == "queen"


def test_vectors_import_and_export_round_trip(file: Path, tmp_path: Path) -> None:
    model = str(tmp_path / "model")
    assert "6 words, 3 wide" in run("import", str(file), model)
    assert open_model(Path(model)).encoder is not None
    assert run("analogy", model, "man", "king", "woman") == run("analogy", str(file), "man", "king", "woman")
    for format in ("word2vec", "word2vec-binary", "glove"):
        run("export", model, str(tmp_path / format), "--format", format)
        again = formats.read(tmp_path / format)
        assert dict(zip(again.words, again.vectors.tolist(), strict=True)) == pytest.approx(
            {word: pytest.approx(vector) for word, vector in VECTORS.items()}
        )
    assert "choose a new file" in refusal("export", model, str(tmp_path / "glove"))
    assert "not empty" in refusal("import", str(file), model)
    assert "Invalid value for '--format'" in refusal("export", model, str(tmp_path / "n"), "--format", "n")


def test_vectors_evaluate_prints_analogy_and_similarity_scores(file: Path, tmp_path: Path) -> None:
    (tmp_path / "questions").write_text(": family\nman king woman queen\nman king woman uncle\n")
    output = run("evaluate", str(file), "--analogies", str(tmp_path / "questions"))
    assert "analogies: 100.0% of 1 right (2 in all)" in output
    assert "family: 100.0% of 1" in output
    assert "similarity: Spearman 0.400 over 4 of 353 pairs" in output


def test_vectors_nearest_accepts_any_model_with_token_embeddings() -> None:
    output = run("nearest", "minilm", "paris", "--count", "5")
    assert len(output.splitlines()) == 6
