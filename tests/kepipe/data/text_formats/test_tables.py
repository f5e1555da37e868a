"""Tables of texts, as pandas writes them."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.texts import write_and_read

CELLS = ["plain", 'a "quoted" word', "two\nlines", "with, comma\tand tab", '"all quoted"']


@pytest.mark.parametrize(("name", "separator"), [("t.csv", ","), ("t.tsv", "\t")])
def test_tables_written_by_pandas_are_read(tmp_path: Path, name: str, separator: str) -> None:
    pd.DataFrame({"label": range(len(CELLS)), "text": CELLS}).to_csv(tmp_path / name, sep=separator)
    found = write_and_read(tmp_path, name, (tmp_path / name).read_bytes())
    assert not found.problems
    assert found.texts == CELLS


def test_literal_quotation_marks_are_kept(tmp_path: Path) -> None:
    found = write_and_read(
        tmp_path, "t.tsv", 'label\ttext\n0\t"Great," he said\n1\t5" disk\n0\t"open\n1\tend\n'
    )
    assert found.texts == ['"Great," he said', '5" disk', '"open', "end"]
    assert not found.problems


def test_the_text_column_is_detected(tmp_path: Path) -> None:
    found = write_and_read(tmp_path, "t.csv", "id;Body\n1;Hello\n2;You\n")
    assert found.texts == ["Hello", "You"]
    assert found.notes == [
        "taken: documents: 2 (csv 2)", "taken: keys and columns: 2 (Body 2)", "left out: keys and columns: 2 (id 2)",
    ]  # fmt: skip
    with pytest.raises(ValueError, match=r"t\.csv:1: expected a header with `text` or `text_a`; found a, b"):
        write_and_read(tmp_path, "t.csv", "a,b\n1,2\n")


texts = st.text(st.characters(exclude_categories=["Cs"],
exclude_characters="\r\x00\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029")).filter(
    str.strip
)  # fmt: skip


@given(st.lists(texts, min_size=1, max_size=6))
@settings(max_examples=40)
def test_any_texts_written_by_pandas_are_read(
    tmp_path_factory: pytest.TempPathFactory, cells: list[str]
) -> None:
    folder = tmp_path_factory.mktemp("csv")
    pd.DataFrame({"n": range(len(cells)), "text": cells}).to_csv(folder / "t.csv", index=False)
    found = write_and_read(folder, "t.csv", (folder / "t.csv").read_bytes())
    assert found.texts == [cell.strip() for cell in cells]
