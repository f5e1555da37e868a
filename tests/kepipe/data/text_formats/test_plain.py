"""Plain text: one document per file, or several, by a setting or detected."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.texts import read_texts, write_and_read

BERT = "\n\n".join(f"First sentence of {n}.\nSecond sentence of {n}." for n in range(6))
PROSE = "\n\n".join(f"A paragraph that is wrapped by\nhand goes on here, {n}." for n in range(6))
PARAGRAPHS = "\n\n".join(f"A whole paragraph stands on one line, {n}." for n in range(6))


def test_the_layout_of_bert_s_corpus_is_detected_and_reported(tmp_path: Path) -> None:
    found = write_and_read(tmp_path, "c.txt", BERT)
    assert [document.id for document in found.documents] == [f"c:{n}" for n in range(1, 7)]
    assert found.texts[0] == "First sentence of 0.\nSecond sentence of 0."
    assert found.notes[0].startswith("c.txt: 6 documents, separated by blank lines")


@pytest.mark.parametrize("text", [PROSE, PARAGRAPHS, "One.\nTwo.\n\nThree.\nFour."])
def test_prose_is_one_document(tmp_path: Path, text: str) -> None:
    assert write_and_read(tmp_path, "c.txt", text).texts == [text]


@pytest.mark.parametrize(("documents", "count"), [("file", 1), ("blank-line", 6), ("line", 12)])
def test_a_setting_determines_how_documents_are_separated(tmp_path: Path, documents: str, count: int) -> None:
    (tmp_path / "c.txt").write_text(BERT)
    assert len(read_texts(tmp_path / "c.txt", documents).documents) == count
