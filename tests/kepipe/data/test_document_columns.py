from pathlib import Path

import numpy as np
import pytest

from kepipe.data.document import Document, Mention, Span, Turn
from kepipe.data.document_columns import DocumentColumns, open_arrays, save_arrays

DOCUMENTS = [
    Document(
        "a", "Ulm lies on the Danube.", "Ulm", sentences=(Span(0, 23),), phrases=(Span(0, 3), Span(12, 22))
    ),
    Document("b", "中文 😀 é\u2028\x85\r\n", mentions=(Mention(0, 2, "Q7850", 0.25), Mention(3, 4, "Q 1\n"))),
    Document("c", " ", gold=(Mention(0, 1, ""),)),
    Document(
        "d", "Hm?\nYes.", turns=(Turn(0, 3, 0), Turn(4, 8, 1)), gold=(Mention(0, 2, "x"), Mention(4, 7, "y"))
    ),
]


@pytest.mark.parametrize("documents", [DOCUMENTS, DOCUMENTS[1:2], []])
def test_saved_documents_are_read_back(tmp_path: Path, documents: list[Document]) -> None:
    columns = DocumentColumns.of(documents)
    assert len(columns) == len(documents)
    assert list(columns.documents()) == documents
    save_arrays(tmp_path / "d.npz", columns.arrays("part."))
    arrays = open_arrays(tmp_path / "d.npz")
    assert arrays is not None
    opened = list(DocumentColumns.open(arrays, "part.").documents())
    assert opened == documents
    assert [type(span) for document in opened for span in (*document.phrases, *document.turns)] == [
        type(span) for document in documents for span in (*document.phrases, *document.turns)
    ]


def test_a_truncated_file_counts_as_missing(tmp_path: Path) -> None:
    file = tmp_path / "d.npz"
    assert open_arrays(file) is None
    save_arrays(file, {"a": np.arange(1000), "b": np.zeros(0)})
    whole = file.read_bytes()
    for size in (0, 40, len(whole) // 2, len(whole) - 1):
        file.write_bytes(whole[:size])
        assert open_arrays(file) is None
    file.write_bytes(whole[:200] + b"\0" * 200 + whole[400:])
    assert open_arrays(file) is None
