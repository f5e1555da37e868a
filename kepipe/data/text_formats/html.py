"""The visible text of web pages (`.html`, `.htm`, `.xhtml`)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser

from kepipe.data.document import Document
from kepipe.data.text_formats.text_file import TextFile
from kg.problems import Problems

_UNSEEN = frozenset(
    [
        "script",
        "style",
        "template",
        "noscript",
        "svg",
        "math",
        "iframe",
        "object",
        "canvas",
        "audio",
        "video",
        "select",
        "nav",
        "footer",
        "form",
        "button",
    ]
)
_WITHIN = frozenset(
    [
        "a",
        "abbr",
        "acronym",
        "b",
        "bdi",
        "bdo",
        "big",
        "cite",
        "code",
        "data",
        "del",
        "dfn",
        "em",
        "font",
        "i",
        "ins",
        "kbd",
        "label",
        "mark",
        "q",
        "rp",
        "rt",
        "ruby",
        "s",
        "samp",
        "small",
        "span",
        "strike",
        "strong",
        "sub",
        "sup",
        "time",
        "tt",
        "u",
        "var",
        "wbr",
        "img",
        "input",
        "meta",
        "link",
    ]
)
"""Inline elements; all other elements separate words."""
_BLANKS = re.compile(r"[^\S\n]+")
_LINES = re.compile(r" ?\n[ \n]*")


def read_html(file: TextFile, problems: Problems) -> Iterator[Document]:
    """One document per page, with one block per line. Its title is that of the page."""
    text = file.read_all(problems)
    if text is None:
        return
    page = _Page()
    page.feed(text)
    page.close()
    seen = _LINES.sub("\n", _BLANKS.sub(" ", "".join(page.pieces))).strip()
    title = " ".join("".join(page.title).split())
    if seen:
        yield Document(id=file.full_id, text=seen, title=title or file.stem)
    else:
        file.problem(problems, 0, "there is no text in the file")


class _Page(HTMLParser):
    """Collects the text of a page, with line breaks between blocks."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.pieces: list[str] = []
        self.title: list[str] = []
        self._unseen: list[str] = []
        self._in_title = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002
        if tag == "title":
            self._in_title = True
        elif tag in _UNSEEN:
            self._unseen.append(tag)
        elif tag not in _WITHIN:
            self.pieces.append("\n")

    def handle_endtag(self, tag: str) -> None:
        if tag == "title":
            self._in_title = False
        elif tag in self._unseen:
            del self._unseen[self._unseen.index(tag) :]
        elif tag not in _WITHIN:
            self.pieces.append("\n")

    def handle_data(self, data: str) -> None:
        if self._in_title:
            self.title.append(data)
        elif not self._unseen:
            self.pieces.append(data.replace("\n", " "))
