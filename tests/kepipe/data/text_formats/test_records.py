"""Records of JSON and Arrow."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow
import pytest
from pyarrow import ipc, parquet

from tests.support.texts import read_texts, write_and_read

RECORDS = [{"id": "1", "text": "One."}, {"text": "Two."}]


@pytest.mark.parametrize(
    "text",
    [
        json.dumps(RECORDS),
        json.dumps(RECORDS, indent=2),
        json.dumps({"version": 1, "data": RECORDS}),
        "\n".join(map(json.dumps, RECORDS)),
    ],
)
def test_json_in_all_layouts(tmp_path: Path, text: str) -> None:
    found = write_and_read(tmp_path, "d.json", text)
    assert not found.problems
    assert [(document.id, document.text) for document in found.documents] == [("1", "One."), ("d:2", "Two.")]


def test_keys_and_columns_are_reported_with_counts(tmp_path: Path) -> None:
    records = [{"text": "One.", "stars": 1}, {"text": "Two.", "title": "T", "stars": 2}, {"stars": 3}]
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, records)))
    parquet.write_table(pyarrow.table({"text": ["One."], "label": [0]}), tmp_path / "b.parquet")
    with pyarrow.OSFile(str(tmp_path / "c.arrow"), "wb") as sink:
        table = pyarrow.table({"text": ["One."], "label": [0]})
        with ipc.new_stream(sink, table.schema) as writer:
            writer.write_table(table)
    assert read_texts(tmp_path).notes == [
        "taken: documents: 4 (json-lines 2, parquet 1, arrow 1)",
        "taken: keys and columns: 5 (text 4, title 1)",
        "left out: keys and columns: 4 (stars 2, label 2)",
    ]


def test_invalid_json_is_reported_with_its_line(tmp_path: Path) -> None:
    assert write_and_read(tmp_path, "d.json", '[\n{"text": }]').problems[0].startswith("d.json:2: not JSON")
    assert write_and_read(tmp_path, "e.json", "7").problems == [
        "e.json: expected a list of records with a `text`, found int"
    ]
    assert write_and_read(tmp_path, "f.json", '[{"text": "a"}, {"body": "b"}]').problems == [
        "f.json:2: `text` is missing, empty or not a string"
    ]


@pytest.mark.parametrize(("name", "write"), [("d.arrow", ipc.new_stream), ("d.feather", ipc.new_file)])
def test_arrow_files_are_read(tmp_path: Path, name: str, write: object) -> None:
    table = pyarrow.table({"text": ["One.", "Two.", ""], "label": [0, 1, 1]})
    with pyarrow.OSFile(str(tmp_path / name), "wb") as sink, write(sink, table.schema) as writer:  # type: ignore[operator]
        writer.write_table(table)
    found = write_and_read(tmp_path, name, (tmp_path / name).read_bytes())
    assert found.texts == ["One.", "Two."]
    assert found.problems == [f"{name}:3: `text` is missing, empty or not a string"]
    assert "not an Arrow file" in write_and_read(tmp_path, "bad.arrow", b"no arrow at all").problems[0]
