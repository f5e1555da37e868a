"""Columns of CoNLL: which hold the words and the labels, and how labels are written.

Tabs part columns where most lines have one; else blanks do. The column of labels is the last in which all are labels,
that of words the first that does not only count (`1 Peter B-PER`, as GermEval and MultiNERD have it). Labels may be
BIO, BIOES, BILOU, bare `B` and `I`, `B_PER` or `PER-B`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from kepipe.data.line_readers import text_lines
from kg.problems import Problems

OUTSIDE = "O"
_LABEL = re.compile(r"O|[BIESMLU](?:[-_].+)?|.+[-_][BIESMLU]")
_LOOKED_AT = 2000
"""Lines that tell the columns."""
_EXPECTED = "O, or B, I (E, S; L, U) with a type, as B-PER"
_COMMENT = re.compile(r"#(?:\s|$)")
_COUNT = re.compile(r"\d+(?:[-.]\d+)?")


class Layout(NamedTuple):
    """How lines are parted, and the places of word and label; those of words may be counted from the end. `label`
    None: no column holds labels."""

    by_tabs: bool
    word: int
    label: int | None
    width: int

    def cells(self, line: str) -> list[str]:
        """The cells of a line."""
        return line.split("\t") if self.by_tabs else re.split(r"[ \t]+", line.strip(" \t"))

    def problem(self, cells: Sequence[str], line: str) -> str:
        """What is wrong with a line; empty where nothing is."""
        if self.label is None:
            last = cells[-1] if len(cells) > 1 else ""
            return (
                f"label {last!r}: expected {_EXPECTED}"
                if last
                else f"expected a word and its label, found {line!r}"
            )
        if len(cells) < 2 or len(cells) <= max(self.word, self.label):
            return f"expected a word and its label, found {line!r}"
        if not cells[self.word].strip():
            return f"the word is blank: {line!r}"
        return label_problem(cells[self.label])

    def word_and_label(self, cells: Sequence[str]) -> tuple[str, str]:
        """The word, and the label as BIO or BIOES writes it."""
        assert self.label is not None
        return cells[self.word].strip(), _plain(cells[self.label])


def is_comment(line: str) -> bool:
    """Whether a line is a comment: `# id 1`, and no word `#` with its label."""
    return (
        _COMMENT.match(line) is not None and label_problem(re.split(r"[ \t]+", line.strip())[-1]) != ""
    ) or (line.startswith("#") and line.count("\t") == 0 and len(line.split()) > 3)


def find_layout(file: Path) -> Layout:
    """The columns of a file, by its first lines. Raises ValueError where the only column of words counts."""
    lines = (line for _, line in text_lines(file, Problems()))
    shown = [
        line for line in islice(lines, _LOOKED_AT) if line.strip(" \t") and not line.startswith("-DOCSTART-")
    ]
    shown = [line for line in shown if not is_comment(line)]
    by_tabs = 2 * sum("\t" in line for line in shown) >= max(len(shown), 1)
    rows = [Layout(by_tabs, 0, None, 0).cells(line) for line in shown]
    width = min((len(row) for row in rows if len(row) > 1), default=0)
    rows = [row for row in rows if len(row) >= width > 1]
    columns = [[row[place] for row in rows] for place in range(width)]
    labels = [
        place
        for place in range(1, width)
        if rows and _most(label_problem(cell) == "" for cell in columns[place])
    ]
    label = _of_entities(labels, columns)
    words = [place for place in range(width) if place != label and not _is_count(columns[place])]
    if label is not None and label > 0 and not words:
        raise ValueError(
            f"{file}: the column that would hold the words holds numbers alone ({', '.join(columns[0][:3])}, "
            f"…); expected a word "
            "and its label a line"
        )
    return Layout(by_tabs, words[0] if words else 0, label, width)


def _of_entities(places: Sequence[int], columns: Sequence[Sequence[str]]) -> int | None:
    """Of several columns of labels: the last of which some cell is not O; chunks (B-NP) stand before entities
    (B-PER)."""
    marked = [place for place in places if any(cell != OUTSIDE for cell in columns[place])]
    found = marked or list(places)
    return found[-1] if found else None


def _most(answers: Iterable[bool]) -> bool:
    """Whether nine of ten are so: a label that is wrong is told with its line."""
    given = list(answers)
    return sum(given) * 10 >= len(given) * 9 or (len(given) < 10 and sum(given) * 2 >= len(given))


def _is_count(cells: Sequence[str]) -> bool:
    """Whether a column counts the words of each sentence."""
    return len(cells) > 1 and all(map(_COUNT.fullmatch, cells)) and any(cell in ("0", "1") for cell in cells)


def label_problem(label: str) -> str:
    """What is wrong with a label; empty where nothing is."""
    return "" if _LABEL.fullmatch(label) else f"label {label!r}: expected {_EXPECTED}"


def _plain(label: str) -> str:
    """A label with its letter first and a hyphen: `B_PER`, `PER-B` → `B-PER`; a bare letter is of the one type
    there is."""
    if label == OUTSIDE:
        return label
    if re.fullmatch(r"[BIESMLU](?:[-_].+)?", label):
        return f"{label[0]}-{label[2:] or 'ENT'}"
    return f"{label[-1]}-{label[:-2]}"


def biluo_to_bio(labels: Sequence[str]) -> list[str]:
    """BILOU's letters as those of BIOES: L is E, U is S."""
    letters = {"L": "E", "U": "S"}
    return [letters.get(label[0], label[0]) + label[1:] if label != OUTSIDE else label for label in labels]
