"""A language model with known answers, for prompts."""

from __future__ import annotations

from math import log10
from pathlib import Path

from typer.testing import CliRunner

from kepipe.cli import app

UNIGRAMS = {"yes": 0.6, "no": 0.3, "good": 0.02, "bad": 0.02, "</s>": 0.02, "<unk>": 0.02, "<s>": 0.02}
BIGRAMS = {("good", "yes"): 0.6, ("good", "no"): 0.1, ("bad", "yes"): 0.5, ("bad", "no"): 0.4}


def write_yes_model(folder: Path) -> Path:
    """Write an n-gram model of order 2 that prefers "yes" to "no" in any context; returns its folder."""
    unigrams = [f"{log10(share):.6f}\t{word}\t0" for word, share in UNIGRAMS.items()]
    bigrams = [f"{log10(share):.6f}\t{first} {second}" for (first, second), share in BIGRAMS.items()]
    lines = [
        "\\data\\", f"ngram 1={len(unigrams)}", f"ngram 2={len(bigrams)}", "",
        "\\1-grams:", *unigrams, "", "\\2-grams:", *bigrams, "", "\\end\\", "",
    ]  # fmt: skip
    file = folder / "yes.arpa"
    file.write_text("\n".join(lines), encoding="utf-8")
    result = CliRunner().invoke(app, ["import-arpa", str(file), str(folder / "yes")])
    assert result.exit_code == 0, result.output
    return folder / "yes"
