from pathlib import Path

from typer.testing import CliRunner

from kepipe.cli.tokenizer import app
from kepipe.corpus.tokenizer import load_tokenizer


def test_train_and_show(tmp_path: Path) -> None:
    texts = tmp_path / "texts.txt"
    texts.write_text("a rose is a rose is a rose\n" * 20, encoding="utf-8")
    out = tmp_path / "tokenizer"
    trained = CliRunner().invoke(app, ["train", str(texts), "--out", str(out), "--size", "400"])
    assert trained.exit_code == 0, trained.output
    assert load_tokenizer(out).id("rose") is not None
    shown = CliRunner().invoke(app, ["show", str(out), "a rose"])
    assert [line.split()[2] for line in shown.output.splitlines()] == ["'a'", "'rose'"]
