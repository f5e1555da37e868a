import codecs
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kepipe.data.document import Document, Mention, Span, Turn
from kepipe.data.document_files import (
    held_out,
    read_documents,
    read_parquet,
    write_documents,
    write_parquet,
)
from kg.problems import Problems

DOCUMENTS = [
    Document("1", "Ann saw Paris.\u2028Line two", "A title", (Span(0, 14),), (Span(0, 3), Span(8, 13))),
    Document(
        "二", "東京 \U0001f600", mentions=(Mention(0, 2, "Q1490", 0.25),), gold=(Mention(0, 2, "Tokyo"),)
    ),
    Document("3", "Hi\nHo", turns=(Turn(0, 2, 0), Turn(3, 5, 1))),
]


@pytest.mark.parametrize(
    ("write", "read"),
    [(write_documents, read_documents), (write_parquet, read_parquet)],
    ids=["jsonl", "parquet"],
)
def test_written_documents_are_read_back(
    write: Callable[[Path, Iterable[Document]], int],
    read: Callable[[Path], Iterator[Document]],
    tmp_path: Path,
) -> None:
    assert write(tmp_path / "documents", DOCUMENTS) == 3
    assert list(read(tmp_path / "documents")) == DOCUMENTS


BAD = {
    b"{": "not JSON",
    b"[1]": "expected a JSON object",
    b'{"id": "x"}': "`text` is missing",
    b'{"text": " "}': "`text` is missing, empty",
    b'{"text": "\xff"}': "invalid UTF-8 at byte 10",
    b'{"text": "\\ud800"}': "half of a surrogate pair",
    b'{"text": "ab", "gold": [{"start": 0, "end": 3, "entity": "e"}]}': "0..3 is not a valid span of a text of 2",
    b'{"text": "ab", "gold": [{"start": 0, "end": 1}]}': "expected {start, end, entity}",
    b'{"text": "ab", "sentences": [[0, 2], [1, 2]]}': "in order and not overlap",
}


@pytest.mark.parametrize("line", BAD)
def test_bad_lines_are_located_and_counted(line: bytes, tmp_path: Path) -> None:
    file = tmp_path / "mine.jsonl"
    file.write_bytes(b'\xef\xbb\xbf{"text": "good"}\n\n' + line + b'\n{"text": "also good", "more": 1}\n')
    problems = Problems()
    assert [(document.id, document.text) for document in read_documents(file, problems)] == [
        ("mine:1", "good"),
        ("mine:4", "also good"),
    ]
    assert problems.count == 1
    assert str(problems.first[0]).startswith("mine.jsonl:3: ")
    assert BAD[line] in problems.first[0].message
    with pytest.raises(ValueError, match=r"mine\.jsonl:3: "):
        list(read_documents(file))


@given(st.binary(max_size=80))
def test_any_bytes_are_read_without_a_crash(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    file = tmp_path_factory.mktemp("bytes") / "x.jsonl"
    file.write_bytes(data)
    lines = sum(bool(line.strip(b" \t\r")) for line in data.removeprefix(codecs.BOM_UTF8).split(b"\n"))
    problems = Problems()
    assert len(list(read_documents(file, problems))) + problems.count == lines


def test_the_split_has_its_share_and_a_larger_one_contains_a_smaller() -> None:
    ids = [f"enwiki:{number}" for number in range(20_000)]
    small = {id for id in ids if held_out(id, 0.1)}
    large = {id for id in ids if held_out(id, 0.3)}
    assert small < large
    assert len(small) / len(ids) == pytest.approx(0.1, abs=0.01)  # 4.7 standard deviations
    assert not any(held_out(id, 0.0) for id in ids)
    assert all(held_out(id, 1.0) for id in ids)
    assert held_out("enwiki:4") == held_out("enwiki:4", 0.1)
