from pathlib import Path

import pytest

from kepipe.data.document import Document
from kepipe.data.document_files import write_documents
from kepipe.data.document_stream import DocumentStream


def test_reading_resumes_at_an_offset(tmp_path: Path) -> None:
    documents = [Document(f"d{number}", "ä" * number) for number in range(1, 6)]
    file = tmp_path / "documents.jsonl"
    write_documents(file, documents)
    first = DocumentStream(file)
    reading = iter(first)
    assert [next(reading), next(reading)] == documents[:2]
    assert first.line == 2
    rest = DocumentStream(file, first.offset, first.line)
    assert list(rest) == documents[2:]
    assert (rest.offset, rest.line) == (file.stat().st_size, 5)


def test_the_error_for_an_invalid_line_has_its_number(tmp_path: Path) -> None:
    file = tmp_path / "documents.jsonl"
    file.write_text('{"id": "a", "text": "a"}\n{"id": "b"}\n')
    with pytest.raises(ValueError, match=r"documents.jsonl:2: `text` is missing"):
        list(DocumentStream(file))
