"""PubMed citations in XML (the baseline, `efetch`): title and abstract of each article; the id is the PMID."""

from __future__ import annotations

from collections.abc import Iterator
from io import BufferedIOBase
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from kepipe.data.document import Document
from kepipe.data.text_formats.text_file import TextFile
from kg.problems import Problems
from kg.sources.xml_bounds import XmlBounds


class BoundedXml:
    """A stream for an XML parser that rejects files which would exhaust memory (`XmlBounds`)."""

    def __init__(self, stream: BufferedIOBase, path: Path) -> None:
        self._stream, self._bounds, self._line = stream, XmlBounds(path), 1

    def read(self, most: int = -1) -> bytes:
        """The next bytes. Raises ValueError as `XmlBounds`."""
        data = self._stream.read(most)
        self._bounds.check(self._line, data)
        self._line += data.count(b"\n")
        return data


def read_pubmed(file: TextFile, problems: Problems) -> Iterator[Document]:
    """The articles with an abstract; articles with only a title are counted as skipped."""
    alone = 0
    with file.open() as stream:
        try:
            source: Any = BoundedXml(stream, file.path)
            for _, element in ElementTree.iterparse(source):
                if element.tag in ("PubmedArticle", "PubmedBookArticle"):
                    document = _document(element)
                    element.clear()
                    if document is not None:
                        yield document
                    alone += document is None
        except ElementTree.ParseError as error:
            file.problem(problems, error.position[0], f"not XML from here on ({error})")
    if alone:
        file.account.leave("articles without an abstract", count=alone)


def _document(article: ElementTree.Element) -> Document | None:
    """The title, and each section of the abstract with its label, as paragraphs."""
    title = _text(article.find(".//ArticleTitle"))
    parts = [
        f"{label.capitalize()}: {text}" if (label := part.get("Label", "")) else text
        for part in article.findall(".//Abstract/AbstractText")
        if (text := _text(part))
    ]
    pmid = _text(article.find(".//PMID"))
    if not parts or not pmid:
        return None
    return Document(id=pmid, text="\n".join(filter(None, [title, *parts])), title=title)


def _text(element: ElementTree.Element | None) -> str:
    return "" if element is None else " ".join("".join(element.itertext()).split())
