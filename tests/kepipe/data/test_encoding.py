"""Tokenising the chunks of a corpus: in this process, and in others."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from kepipe.data.document import Document
from kepipe.data.document_files import write_documents
from kepipe.data.encoding import PARALLELISM, Encoding
from kepipe.data.parsed_chunks import ParsedChunks
from tests.support.tasks import tokenizer


@pytest.mark.parametrize("before", [None, "true"])
def test_tokenizers_get_their_threads_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: str | None
) -> None:
    """After one processor has done the work of the worker processes, it is that of this process."""
    monkeypatch.setenv("LOKY_MAX_CPU_COUNT", "1")
    monkeypatch.delenv(PARALLELISM, raising=False)
    if before is not None:
        monkeypatch.setenv(PARALLELISM, before)
    write_documents(tmp_path / "documents.jsonl", [Document("a", "Some text.")])
    tokenizer().save(tmp_path / "tokenizer")
    chunks = ParsedChunks(tmp_path / "documents.jsonl", 0.0, tmp_path / "kept")
    (chunk,) = Encoding(chunks, tmp_path / "tokenizer", -1).read()
    assert list(chunk.splits["train"].ids) == ["a"]
    assert os.environ.get(PARALLELISM) == before
