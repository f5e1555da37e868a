"""The table of text formats, one row each. A format is recognised by the extension of a file, or by its first bytes if
the extension is ambiguous."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from kepipe.data.document import Document
from kepipe.data.text_formats.conllu import read_conllu
from kepipe.data.text_formats.html import read_html
from kepipe.data.text_formats.markdown import read_markdown
from kepipe.data.text_formats.plain import read_plain
from kepipe.data.text_formats.pubmed import read_pubmed
from kepipe.data.text_formats.records import read_arrow, read_json, read_json_lines, read_parquet
from kepipe.data.text_formats.tables import read_table
from kepipe.data.text_formats.text_file import TextFile
from kepipe.data.text_formats.wiki_extractor import read_wiki_extractor
from kg.problems import Problems

Reader = Callable[[TextFile, Problems], Iterator[Document]]


@dataclass(frozen=True)
class TextFormat:
    """A row: the name of the format, what a file becomes, its extensions, its reader."""

    name: str
    about: str
    endings: tuple[str, ...]
    read: Reader
    names: re.Pattern[str] | None = None
    """File names of this format, in addition to its extensions."""
    beginning: re.Pattern[bytes] | None = None
    """First bytes of a file of this format, if other formats have the same extensions."""
    in_archives: bool = True
    """Whether members of archives can be read."""


FORMATS = (
    TextFormat("text", "a document, or several separated by blank lines", (".txt", ".text"), read_plain),
    TextFormat("json-lines", "a document per line", (".jsonl", ".ndjson"), read_json_lines),
    TextFormat("json", "a list of records, or an object with one", (".json",), read_json),
    TextFormat("csv", "a document per row, with a header", (".csv", ".tsv"), read_table),
    TextFormat("parquet", "a document per row", (".parquet",), read_parquet, in_archives=False),
    TextFormat("arrow", "a document per row; Hugging Face's `save_to_disk`", (".arrow", ".feather"), read_arrow),
    TextFormat("markdown", "a document, without markup", (".md", ".markdown"), read_markdown),
    TextFormat("html", "a document, without markup", (".html", ".htm", ".xhtml"), read_html),
    TextFormat(
        "wiki-extractor", "a document per article", (), read_wiki_extractor, names=re.compile(r"wiki_\d+")
    ),
    TextFormat("conll-u", "a document per `# newdoc`", (".conllu",), read_conllu),
    TextFormat(
        "pubmed", "a document per article: title and abstract", (".xml",), read_pubmed,
        beginning=re.compile(rb"<(!DOCTYPE )?(PubmedArticle|PubmedBookArticle)"),
    ),
)  # fmt: skip
"""The formats, in order of precedence."""
BY_ENDING = {ending: row for row in FORMATS for ending in row.endings}
_LOOKED_AT = 4096


def format_of(file: TextFile) -> TextFormat | None:
    """The format of a file; None if unknown."""
    name = file.name.rpartition("/")[2].lower()
    row = BY_ENDING.get(name[name.rfind(".") :]) if "." in name else None
    if row is None:
        row = next((one for one in FORMATS if one.names and one.names.fullmatch(name)), None)
    if row is not None and row.beginning is not None:
        with file.open() as stream:
            if row.beginning.search(stream.read(_LOOKED_AT)) is None:
                return None
    return None if row is not None and file.member and not row.in_archives else row
