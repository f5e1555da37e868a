"""AIDA-CoNLL-YAGO, tab-separated: word, B or I, mention, YAGO entity, Wikipedia URL, Wikipedia page id, Freebase id.

Each `-DOCSTART-` begins a text; words are joined by blanks, sentences by line breaks. `--NME--` is outside the graph.
An entity is identified by its title, YAGO name, page id or Freebase id, whichever the graph has.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from kepipe.data.gold_formats.marked import MarkedText, mark
from kepipe.data.line_readers import text_lines
from kg.problems import Problems

_OUTSIDE = "--NME--"
_CLOSE = frozenset(".,;:!?)]}%'")


class _Article:
    def __init__(self, id: str, line: int) -> None:
        self.id, self.line = id, line
        self.pieces: list[str] = []
        self.length = 0
        self.marks: list[dict[str, Any]] = []
        self._begins_line = True

    def word(self, cells: list[str]) -> None:
        """Add a word, and begin or continue its mention. Raises ValueError for a tag that is neither B nor I."""
        tag = cells[1] if len(cells) > 1 else ""
        if tag not in ("", "B", "I"):
            raise ValueError(f"expected B or I in the second column, found {tag[:20]!r}")
        self.write("" if self._begins_line or cells[0] in _CLOSE else " ")
        start = self.length
        self.write(cells[0])
        self._begins_line = False
        if tag == "B" or (tag == "I" and not self.marks):
            ids = [] if len(cells) < 4 or cells[3] == _OUTSIDE else cells[3:7]
            titles = [unquote(id.rpartition("/wiki/")[2]) for id in ids if "/wiki/" in id]
            self.marks.append(
                mark(start, self.length, [*(title.replace("_", " ") for title in titles), *titles, *ids])
            )
        elif tag == "I":
            self.marks[-1]["end"] = self.length

    def end_line(self) -> None:
        """End a sentence."""
        if not self._begins_line:
            self.write("\n")
        self._begins_line = True

    def write(self, text: str) -> None:
        self.pieces.append(text)
        self.length += len(text)

    def record(self) -> dict[str, Any]:
        return {"id": self.id, "text": "".join(self.pieces), "mentions": self.marks}


def read_aida(file: Path, problems: Problems) -> Iterator[MarkedText]:
    """The texts; a word on an invalid line is skipped."""
    article: _Article | None = None
    for number, line in text_lines(file, problems):
        if line.startswith("-DOCSTART-"):
            if article is not None and article.length:
                yield article.line, article.record()
            article = _Article(line.partition("(")[2].rstrip(")\t ") or f"{file.stem}:{number}", number)
        elif not line.strip():
            if article is not None:
                article.end_line()
        else:
            article = article or _Article(f"{file.stem}:{number}", number)
            try:
                article.word(line.split("\t"))
            except ValueError as error:
                problems.add(file, number, str(error))
    if article is not None and article.length:
        yield article.line, article.record()
