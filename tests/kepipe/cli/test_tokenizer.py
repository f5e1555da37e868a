from pathlib import Path

from typer.testing import CliRunner

from kepipe.cli.tokenizer import app
from kepipe.tokenization.tokenizer import load_tokenizer


def test_tokenizer_train_and_show(tmp_path: Path) -> None:
    texts = tmp_path / "texts.txt"
    texts.write_text("a rose is a rose is a rose\n" * 20, encoding="utf-8")
    out = tmp_path / "tokenizer"
    trained = CliRunner().invoke(app, ["train", str(texts), "--out", str(out), "--size", "400"])
    assert trained.exit_code == 0, trained.output
    assert load_tokenizer(out).id("rose") is not None
    shown = CliRunner().invoke(app, ["show", str(out), "a rose"])
    assert [line.split()[2] for line in shown.output.splitlines()] == ["'a'", "'rose'"]


def test_tokenizer_train_does_not_overwrite(tmp_path: Path) -> None:
    texts, out = tmp_path / "texts.txt", tmp_path / "tokenizer"
    texts.write_text("a rose is a rose is a rose\n" * 20, encoding="utf-8")
    command = ["train", str(texts), "--out", str(out), "--size", "400"]
    first = CliRunner().invoke(app, command)
    assert "too small for the requested 400 entries" in first.output
    before = {file.name: file.read_bytes() for file in out.iterdir()}
    again = CliRunner().invoke(app, command)
    assert again.exit_code == 2
    assert "is not empty" in " ".join(
        again.output.replace("│", " ").split()
    )  # wrapped, wherever the path is long
    assert {file.name: file.read_bytes() for file in out.iterdir()} == before


def test_tokenizer_train_names_a_missing_file(tmp_path: Path) -> None:
    ended = CliRunner().invoke(app, ["train", "no-such.txt", "--out", str(tmp_path / "tokenizer")])
    assert ended.exit_code == 2
    assert "no-such.txt" in ended.output
    assert not (tmp_path / "tokenizer").exists()
