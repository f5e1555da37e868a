"""The visible text of Markdown (`.md`), by markdown-it: without markup, link targets, code and HTML."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from kepipe.data.document import Document
from kepipe.data.text_formats.text_file import TextFile
from kg.problems import Problems

if TYPE_CHECKING:
    from markdown_it.token import Token

_FRONT_MATTER = re.compile(r"\A---\n.*?\n(?:---|\.\.\.)\n", re.DOTALL)
_BREAKS = {"softbreak": " ", "hardbreak": "\n"}


def read_markdown(file: TextFile, problems: Problems) -> Iterator[Document]:
    """One document per file, with one paragraph per line and empty lines between; its title is the first heading."""
    from markdown_it import MarkdownIt

    text = file.read_all(problems)
    if text is None:
        return
    tokens = MarkdownIt("commonmark").enable("table").parse(_FRONT_MATTER.sub("", text, count=1))
    title, paragraphs = "", []
    for before, token in zip([None, *tokens], tokens, strict=False):
        if token.type != "inline":
            continue
        paragraph = " ".join(_text(token.children or ()).split(" ")).strip()
        if not title and before is not None and before.type == "heading_open":
            title = paragraph
        if paragraph:
            paragraphs.append(paragraph)
    if paragraphs:
        yield Document(id=file.full_id, text="\n\n".join(paragraphs), title=title or file.stem)
    else:
        file.problem(problems, 0, "there is no text in the file")


def _text(tokens: Iterable[Token]) -> str:
    pieces = []
    for token in tokens:
        if token.type in ("text", "code_inline"):
            pieces.append(token.content)
        elif token.type in _BREAKS:
            pieces.append(_BREAKS[token.type])
        elif token.type == "image":
            pieces.append(_text(token.children or ()))
    return "".join(pieces)
