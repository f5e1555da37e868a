"""Tables of texts: `.csv` and `.tsv` with a header, quoted as by spreadsheets and pandas, or unquoted."""

from __future__ import annotations

from collections.abc import Iterator

from kepipe.data.document import Document
from kepipe.data.line_readers import table_rows
from kepipe.data.text_formats.text_file import TextFile
from kg.problems import Problems

_TEXTS = ("text", "text_a", "text_b")
_OTHERS = ("content", "body", "article", "document", "abstract", "sentence", "review", "summary")
"""Columns of the text if none of `_TEXTS` is present, most likely first."""


def read_table(file: TextFile, problems: Problems) -> Iterator[Document]:
    """One document per row; the id is `file:line`. The texts of a pair are paragraphs of one document. Raises
    ValueError if no column holds texts."""
    columns: list[str] = []
    header: list[str] = []
    rows = 0
    for number, cells in table_rows(file.lines(problems), file.path, problems):
        if not columns:
            header = list(cells)
            columns = _text_columns(file, header)
        texts = [cells[name].strip() for name in columns]
        if any(texts):
            rows += 1
            id = f"{file.id}:{number}"  # a column `id` restarts in each file
            yield Document(id=id, text="\n".join(texts).strip(), title=cells.get("title", "").strip())
        else:
            file.problem(problems, number, "the text is empty")
    file.count_values(dict.fromkeys(header, rows), {*columns, "title"})


def _text_columns(file: TextFile, header: list[str]) -> list[str]:
    found = [name for name in _TEXTS if name in header]
    if not found:
        found = [name for name in header if name.strip().lower() in _OTHERS][:1]
    if not found and len(header) == 1:
        found = header
    if not found:
        expected = "expected a header with `text` or `text_a`"
        raise ValueError(f"{file.path}:1: {expected}; found {', '.join(header)}")
    return found
