from pathlib import Path

import pytest

from kepipe.data.document import Document
from kepipe.data.document_files import write_parquet
from kepipe.data.sources.folder import list_files, read_folders
from kg.problems import Problems


def test_all_formats_are_read_sorted_by_name(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "note.txt").write_bytes(b"\xef\xbb\xbfOne.\r\nTwo.\n")
    (tmp_path / "a.jsonl").write_text('{"id": "a1", "text": "From JSON"}\n')
    write_parquet(tmp_path / "c.parquet", [Document("c1", "From Parquet")])
    (tmp_path / "ignored.pdf").write_text("no")
    problems = Problems()
    assert list(read_folders([tmp_path], problems)) == [
        Document("a1", "From JSON"),
        Document("b/note", "One.\nTwo.", "note"),
        Document("c1", "From Parquet"),
    ]
    assert not problems


def test_a_single_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "note.txt").write_text("Text")
    assert list(read_folders([tmp_path / "note.txt"], Problems())) == [Document("note", "Text", "note")]


def test_invalid_lines_and_files_are_reported(tmp_path: Path) -> None:
    (tmp_path / "bad.txt").write_bytes(b"line\nl\xffne")
    (tmp_path / "empty.txt").write_text(" \n")
    (tmp_path / "twice.jsonl").write_text('{"id": "x", "text": "a"}\n{"id": "x", "text": "b"}\n')
    problems = Problems()
    assert [document.text for document in read_folders([tmp_path], problems)] == ["a"]
    assert [str(problem) for problem in problems.first] == [
        "bad.txt:2: invalid UTF-8 at byte 6 of the file",
        "empty.txt: the file is empty",
        "twice.jsonl: duplicate id 'x'; the later document is skipped",
    ]


def test_a_folder_without_text_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"no \.txt / .* file"):
        list_files(tmp_path)
    with pytest.raises(ValueError, match="no such file or folder"):
        list_files(tmp_path / "gone")


def test_each_row_of_a_table_is_a_document(tmp_path: Path) -> None:
    """The texts of a task without its labels, as used for TAPT."""
    (tmp_path / "train.tsv").write_text("label\ttext_a\ttext_b\n1\tFirst.\tSecond.\n0\tbad\n0\t \t\n")
    problems = Problems()
    assert list(read_folders([tmp_path], problems)) == [Document("train:2", "First.\nSecond.")]
    assert [str(problem) for problem in problems.first] == [
        "train.tsv:3: expected 3 cells separated by tabs, found 2",
        "train.tsv:4: the text is empty",
    ]
    (tmp_path / "train.tsv").write_text("label\tgroup\n1\tFirst.\n")
    with pytest.raises(ValueError, match=r"train.tsv:1: expected a header with `text` or `text_a`"):
        list(read_folders([tmp_path], problems))


def test_several_paths_are_read_in_the_given_order(tmp_path: Path) -> None:
    (tmp_path / "b.txt").write_text("B")
    (tmp_path / "a.txt").write_text("A")
    files = [tmp_path / "b.txt", tmp_path / "a.txt", tmp_path / "b.txt"]
    problems = Problems()
    assert [document.id for document in read_folders(files, problems)] == ["b", "a"]
    assert problems.count == 1


def test_hidden_files_and_unknown_formats_are_skipped_and_reported(tmp_path: Path) -> None:
    for name in ("A.TXT", "._a.txt", ".ipynb_checkpoints/a.txt", "b.pdf", "c.PDF"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("Text.")
    notes: list[str] = []
    assert [document.id for document in read_folders([tmp_path], Problems(), notes.append)] == ["A"]
    assert notes == [
        "taken: documents: 1 (text 1)",
        "skipped: 4 files that are hidden or of an unknown format: 2 hidden files, 2 .pdf",
    ]
