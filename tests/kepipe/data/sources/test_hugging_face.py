"""Data sets of the hub: rows become documents, by the given column; missing parts are reported."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest
from pyarrow import ipc

from kepipe.data.document import Document
from kepipe.data.sources.hugging_face import documents, read
from kepipe.data.sources.table import Dataset, Reading
from kg.problems import Problems

HAS_PACKAGE = importlib.util.find_spec("datasets") is not None
COLUMNS = {
    "id": ["a", None, "c"], "title": ["First", "", None], "body": ["One.", "Two.", " "], "label": [0, 1, 1],
}  # fmt: skip
DOCUMENTS = [Document("a", "One.", "First"), Document("own:train:2", "Two.")]
TAKEN = [
    "taken: documents: 2 (train 2)", "taken: keys and columns: 6 (id 2, title 2, body 2)",
    "left out: keys and columns: 2 (label 2)",
]  # fmt: skip


@contextmanager
def progress(what: str, total: int | None, unit: str, /) -> Iterator[Callable[[int], None]]:
    yield lambda _count: None


def reading(notes: list[str], problems: Problems, dataset: Dataset | None = None) -> Reading:
    return Reading((), None, problems, progress, notes.append, dataset=dataset)


def test_a_data_set_name_is_required() -> None:
    with pytest.raises(ValueError, match="needs `dataset"):
        list(read(reading([], Problems())))


@pytest.mark.skipif(HAS_PACKAGE, reason="the package is installed")
def test_a_missing_package_is_named_in_the_error() -> None:
    with pytest.raises(ValueError, match="pip install datasets"):
        list(read(reading([], Problems(), Dataset("owner/name"))))


def test_rows_of_an_arrow_data_set_are_documents(tmp_path: Path) -> None:
    table = pyarrow.table(COLUMNS)
    with (
        pyarrow.OSFile(str(tmp_path / "d.arrow"), "wb") as sink,
        ipc.new_stream(sink, table.schema) as writer,
    ):
        writer.write_table(table)
    with pyarrow.memory_map(str(tmp_path / "d.arrow")) as mapped:
        rows = ipc.open_stream(mapped).read_all().to_pylist()
    problems, notes = Problems(), list[str]()
    asked = Dataset("own", column="body")
    assert list(documents(rows, asked, reading(notes, problems))) == DOCUMENTS
    assert [str(problem) for problem in problems.first] == ["own:3: `text` is missing, empty or not a string"]
    assert notes == TAKEN
    problems = Problems()
    assert not list(documents(rows[:1], Dataset("own"), reading([], problems)))
    assert str(problems.first[0]) == "own:1: no column 'text'; the data set has id, title, body, label"


def test_row_with_half_of_a_surrogate_pair_is_skipped_and_counted() -> None:
    problems = Problems()
    rows = [{"text": "One.", "title": "\ud83d"}, {"text": "Two."}]
    found = list(documents(rows, Dataset("own"), reading([], problems)))
    assert [document.text for document in found] == ["Two."]
    assert str(problems.first[0]).startswith("own:1: `title`: ")
    assert "half of a surrogate pair" in problems.first[0].message


def test_a_data_set_is_loaded_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder instead of an id of the hub: the package opens both in the same way."""
    pytest.importorskip("datasets")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "own").mkdir()
    pyarrow.parquet.write_table(pyarrow.table(COLUMNS), tmp_path / "own/train.parquet")
    notes: list[str] = []
    assert list(read(reading(notes, Problems(), Dataset("own", column="body")))) == DOCUMENTS
    assert notes == TAKEN
    with pytest.raises(ValueError, match=r"the data set own, split test, cannot be read"):
        list(read(reading(notes, Problems(), Dataset("own", split="test", column="body"))))
