"""`kepipe perplexity`: a model's perplexity on files, with and without unknown words."""

from __future__ import annotations

import gzip
import json
import re
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from kepipe.cli import app
from kepipe.models.ngram.fitting import save
from kepipe.models.ngram.vocabulary import SPECIAL
from kepipe.tokenization.word_level import words_tokenizer
from tests.support.ngrams import KneserNey, estimated, zipf

WORDS = [*SPECIAL, *(f"w{number}" for number in range(3, 20))]
SIZE = (16 - 4) // 2
"""Tokens of a stretch."""


@pytest.fixture
def model(tmp_path: Path) -> str:
    tables = estimated(zipf(1, 200, 20), 20, 3, "kneser-ney", tmp_path)
    words_tokenizer(WORDS).save(tmp_path / "lm")
    save(tmp_path / "lm", tables, WORDS, tmp_path / "lm", {})
    return str(tmp_path / "lm")


def test_perplexity_with_and_without_unknown_words(model: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    texts = [rng.integers(3, 20, 40) for _ in range(3)]
    texts[1][20] = 0
    spelt = [" ".join("unheard-of" if word == 0 else WORDS[word] for word in text) for text in texts]
    (tmp_path / "a.jsonl").write_text(
        "".join(json.dumps({"id": str(n), "text": t}) + "\n" for n, t in enumerate(spelt[:2]))
    )
    (tmp_path / "b.txt").write_text(spelt[2].replace(" ", "\n", 5))
    files = [str(tmp_path / "a.jsonl"), str(tmp_path / "b.txt")]
    ended = CliRunner().invoke(app, ["perplexity", model, *files, "--context", "16"])
    assert ended.exit_code == 0, ended.output
    reference = KneserNey(zipf(1, 200, 20), 20, 3)
    nats = {
        (number, place): -np.log(reference.p(int(word), tuple(texts[number][:place].tolist())))
        for number, text in enumerate(texts)
        for place, word in enumerate(text)
        if place >= SIZE
    }
    known = [value for key, value in nats.items() if key != (1, 20)]
    shown = dict(re.findall(r"^(per token|per known token) +([\d.,]+)", ended.output, re.MULTILINE))
    assert float(shown["per token"]) == pytest.approx(np.exp(np.mean([*nats.values()])), rel=1e-3)
    assert float(shown["per known token"]) == pytest.approx(np.exp(np.mean(known)), rel=1e-3)
    assert "1 tokens are unknown" in ended.output


def test_perplexity_counts_tokens_missing_in_an_arpa_file_as_unknown(tmp_path: Path) -> None:
    """The tokenizer writes the word `b`, which the file does not have."""
    (tmp_path / "m.arpa").write_text(
        "\\data\\\nngram 1=3\n\n\\1-grams:\n-1 <unk>\n-0.5 </s>\n-0.25 a\n\n\\end\\\n"
    )
    words_tokenizer([*SPECIAL, "a", "b"]).save(tmp_path / "tokenizer")
    file, lm, tokenizer = (str(tmp_path / name) for name in ("m.arpa", "lm", "tokenizer"))
    assert CliRunner().invoke(app, ["import-arpa", file, lm, "--tokenizer", tokenizer]).exit_code == 0
    (tmp_path / "a.txt").write_text("a " * SIZE + "a a b a b c")
    asked = ["perplexity", lm, str(tmp_path / "a.txt"), "--context", "16"]
    ended = CliRunner().invoke(app, asked)
    assert ended.exit_code == 0, ended.output
    shown = dict(re.findall(r"^(per token|per known token) +([\d.,]+)", ended.output, re.MULTILINE))
    assert float(shown["per token"]) == pytest.approx(10 ** ((3 * 0.25 + 3 * 1) / 6), rel=1e-3)
    assert float(shown["per known token"]) == pytest.approx(10**0.25, rel=5e-3)
    assert "3 tokens are unknown" in ended.output


def test_perplexity_rejects_too_short_texts(model: str, tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("w3 w4")
    ended = CliRunner().invoke(app, ["perplexity", model, str(tmp_path / "a.txt")])
    assert "no held-out document has more than 62 tokens" in str(ended.exception)


def test_perplexity_is_the_same_for_every_file_format(model: str, tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    texts = [" ".join(WORDS[word] for word in rng.integers(3, 20, 30)) for _ in range(2)]
    lines = "".join(json.dumps({"id": str(n), "text": t}) + "\n" for n, t in enumerate(texts))
    for name in ("a.jsonl", "a.ndjson"):
        (tmp_path / name).write_text(lines)
    (tmp_path / "b.jsonl.gz").write_bytes(gzip.compress(lines.encode()))
    (tmp_path / "c.csv").write_text("id,text\n" + "".join(f"{n},{text}\n" for n, text in enumerate(texts)))
    (tmp_path / "d.md").write_text(f"# {texts[0]}\n")
    (tmp_path / "e.txt").write_text(texts[0])

    def figures(name: str) -> str:
        ended = CliRunner().invoke(app, ["perplexity", model, str(tmp_path / name), "--context", "16"])
        assert ended.exit_code == 0, ended.output
        return ended.stdout

    expected = figures("a.jsonl")
    assert expected.startswith(f"{2 * (30 - SIZE)} tokens in 8 windows")
    assert [figures(name) for name in ("a.ndjson", "b.jsonl.gz", "c.csv")] == [expected] * 3
    assert figures("d.md") == figures("e.txt")
