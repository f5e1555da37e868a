"""Documents written in a format are read back; tables are tested in `test_tables.py`."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from html import escape
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyarrow import ipc

from kepipe.data.text_formats.table import FORMATS
from tests.support.texts import read_texts

Texts = Sequence[str]


def write_plain(file: Path, texts: Texts) -> None:
    file.write_text(
        "\n\n".join(text.replace(". ", ".\n") for text in texts) + "\n", encoding="utf-8", newline=""
    )


def write_json_lines(file: Path, texts: Texts) -> None:
    file.write_text("".join(json.dumps({"text": text}, ensure_ascii=False) + "\n" for text in texts))


def write_json(file: Path, texts: Texts) -> None:
    file.write_text(json.dumps({"data": [{"text": text} for text in texts]}, indent=1))


def write_parquet(file: Path, texts: Texts) -> None:
    pyarrow.parquet.write_table(pyarrow.table({"text": list(texts)}), file)


def write_arrow(file: Path, texts: Texts) -> None:
    table = pyarrow.table({"text": list(texts)})
    with pyarrow.OSFile(str(file), "wb") as sink, ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)


def write_markdown(file: Path, texts: Texts) -> None:
    marked = (
        "".join(f"\\{c}" if c in r"!#$%&'()*+,-./:;<=>?@[\]^_`{|}~" + '"' else c for c in text)
        for text in texts
    )
    file.write_text("\n\n".join(marked), encoding="utf-8")


def write_html(file: Path, texts: Texts) -> None:
    file.write_text("".join(f"<p>{escape(text)}</p>\n" for text in texts), encoding="utf-8")


def write_wiki_extractor(file: Path, texts: Texts) -> None:
    articles = (
        f'<doc id="{n}" url="u" title="T">\nT\n\n{escape(text)}\n</doc>\n'
        for n, text in enumerate(texts, start=1)
    )
    file.write_text("".join(articles), encoding="utf-8")


def write_conll_u(file: Path, texts: Texts) -> None:
    documents = (
        "# newdoc\n"
        + "".join(f"{n}\t{word}" + "\t_" * 8 + "\n" for n, word in enumerate(text.split(" "), start=1))
        for text in texts
    )
    file.write_text("\n".join(documents) + "\n", encoding="utf-8")


def write_pubmed(file: Path, texts: Texts) -> None:
    articles = (
        f"<PubmedArticle><PMID>{n}</PMID><Abstract><AbstractText>{escape(text)}</AbstractText></Abstract>"
        "</PubmedArticle>"
        for n, text in enumerate(texts, start=1)
    )
    file.write_text(f"<PubmedArticleSet>{''.join(articles)}</PubmedArticleSet>", encoding="utf-8")


WRITERS: dict[str, tuple[str, Callable[[Path, Texts], None]]] = {
    "text": ("d.txt", write_plain), "json-lines": ("d.jsonl", write_json_lines), "json": ("d.json", write_json),
    "parquet": ("d.parquet", write_parquet), "arrow": ("d.arrow", write_arrow), "markdown": ("d.md", write_markdown),
    "html": ("d.html", write_html), "wiki-extractor": ("wiki_00", write_wiki_extractor),
    "conll-u": ("d.conllu", write_conll_u), "pubmed": ("d.xml", write_pubmed),
}  # fmt: skip
PAGES = {"markdown": "\n\n", "html": "\n"}
"""Formats of one document a file → what stands between its paragraphs."""

texts = (
    st.text(st.characters(exclude_categories=["Cs", "Cc", "Cn", "Zl", "Zp"]), max_size=30)
    .map(lambda text: " ".join(text.split()))
    .filter(bool)
)


def test_every_format_is_read_back_somewhere() -> None:
    assert WRITERS.keys() | {"csv"} == {row.name for row in FORMATS}


@pytest.mark.parametrize("name", WRITERS)
@given(texts=st.lists(texts, min_size=1, max_size=5))
@settings(max_examples=40, deadline=None)
def test_written_documents_are_read_back(
    tmp_path_factory: pytest.TempPathFactory, name: str, texts: list[str]
) -> None:
    file, write = WRITERS[name]
    folder = tmp_path_factory.mktemp("texts")
    write(folder / file, texts)
    found = read_texts(folder / file, "blank-line")
    assert found.problems == []
    written = [PAGES[name].join(texts)] if name in PAGES else texts
    assert [text.replace(".\n", ". ") if name == "text" else text for text in found.texts] == written
