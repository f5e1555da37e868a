"""Models and tokenizers by hub id, from Hugging Face's cache as a download leaves it; nothing is fetched."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from kepipe.models.base import Base, build
from kepipe.models.hf.export import export
from kepipe.models.pretrained import from_pretrained
from kepipe.tokenization.training import train_tokenizer

NAME, COMMIT = "someone/tiny-gpt", "0" * 40


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache that holds one repository."""
    root = tmp_path_factory.mktemp("hub")
    tokenizer = train_tokenizer(["a rose is a rose"] * 50, "bpe", 400)
    tokenizer.save(root / "tokenizer")
    special = {"pad": tokenizer.pad, "sep": tokenizer.sep}
    model = build(Base(family="gpt2", layers=1, hidden=32, heads=2), tokenizer.vocab_size, 0, special=special)
    repository = root / "cache" / f"models--{NAME.replace('/', '--')}"
    (repository / "refs").mkdir(parents=True)
    (repository / "refs" / "main").write_text(COMMIT)
    export(repository / "snapshots" / COMMIT, model, root / "tokenizer")
    return root / "cache"


def kepipe(cache: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "HF_HUB_CACHE": str(cache), "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, "-m", "kepipe", *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=environment, check=False)


def test_model_opens_by_hub_id(cache: Path, tmp_path: Path) -> None:
    out = tmp_path / "exported"
    ended = kepipe(cache, "export", NAME, str(out))
    assert ended.returncode == 0, ended.stderr
    stored = next(cache.glob("*/snapshots/*"))
    one, other = from_pretrained(str(stored)), from_pretrained(str(out))
    assert all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))
    assert (stored / "tokenizer.json").read_bytes() == (out / "tokenizer.json").read_bytes()


def test_tokenizer_opens_by_hub_id(cache: Path) -> None:
    ended = kepipe(cache, "tokenizer", "show", NAME, "a rose")
    assert ended.returncode == 0, ended.stderr
    assert [line.split()[-1] for line in ended.stdout.splitlines()] == ["'a'", "'rose'"]


def test_unavailable_hub_model_is_reported_in_one_line(cache: Path) -> None:
    ended = kepipe(cache, "export", "no-one/nothing", "out")
    assert ended.returncode == 2
    assert "no-one/nothing: not a local folder, and not available from the hub" in ended.stderr
    assert "Traceback" not in ended.stderr
