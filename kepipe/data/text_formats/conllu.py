"""Treebanks in CoNLL-U (`.conllu`): their texts, with sentence boundaries (universaldependencies.org/format)."""

from __future__ import annotations

from collections.abc import Iterator

from kepipe.data.document import Document, Span
from kepipe.data.text_formats.text_file import TextFile
from kg.problems import Problems

_COLUMNS = 10


class _Sentence:
    """A sentence under construction: its comments and its words."""

    def __init__(self, number: int) -> None:
        self.number, self.text, self.id = number, "", ""
        self.new_document: str | None = None
        self.new_paragraph = False
        self.pieces: list[str] = []
        self._until = 0

    def comment(self, line: str) -> None:
        name, _, value = line.lstrip("# ").partition("=")
        match name.split():
            case ["newdoc", *_]:
                self.new_document = value.strip()
            case ["newpar", *_]:
                self.new_paragraph = True
            case ["text"]:
                self.text = value.strip()

    def word(self, cells: list[str]) -> None:
        """Add a word. Words of a contraction ("2-3 del") and empty nodes ("2.1") are skipped. Raises ValueError for
        another id."""
        first, _, last = cells[0].partition("-")
        if "." in cells[0]:
            return
        if int(first) > self._until or last:
            self.pieces.append(cells[1] + ("" if "SpaceAfter=No" in cells[9].split("|") else " "))
            self._until = int(last or first)

    def written(self) -> str:
        return self.text or "".join(self.pieces).strip()


def read_conllu(file: TextFile, problems: Problems) -> Iterator[Document]:
    """A document per `# newdoc`, or a single one without; invalid sentences are skipped."""
    texts: list[str] = []
    spans: list[Span] = []
    id, length, count = "", 0, 0

    def document() -> Document:
        name = id or (file.id if count == 0 else f"{file.id}:{count + 1}")
        return Document(id=name, text="".join(texts), sentences=tuple(spans))

    for sentence in _sentences(file, problems):
        if sentence.new_document is not None:
            if spans:
                yield document()
                count += 1
            texts, spans, length, id = [], [], 0, sentence.new_document
        between = ("\n\n" if sentence.new_paragraph else " ") if spans else ""
        written = sentence.written()
        texts += [between, written]
        spans.append(Span(length + len(between), length + len(between) + len(written)))
        length = spans[-1].end
    if spans:
        yield document()


def _sentences(file: TextFile, problems: Problems) -> Iterator[_Sentence]:
    sentence, is_bad = _Sentence(1), False
    for number, line in file.lines(problems):
        if not line.strip():
            if sentence.written() and not is_bad:
                yield sentence
            sentence, is_bad = _Sentence(number + 1), False
        elif line.startswith("#"):
            sentence.comment(line)
        else:
            cells = line.split("\t")
            try:
                if len(cells) != _COLUMNS:
                    raise ValueError
                sentence.word(cells)
            except ValueError:
                if not is_bad:
                    found = f"{len(cells)} columns, {line[:40]!r}"
                    file.problem(
                        problems, number, f"expected {_COLUMNS} columns, the first a number; found {found}"
                    )
                is_bad = True
    if sentence.written() and not is_bad:
        yield sentence
