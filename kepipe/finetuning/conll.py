"""CoNLL column files: detect the columns of words and labels, and the tagging scheme.

Columns are separated by tabs if most lines have one, else by spaces. The label column is the last one whose cells are
labels; the word column is the first one that is not a running count (`1 Peter B-PER`, as in GermEval and MultiNERD).
Labels may be BIO, BIOES, BILOU, bare `B` and `I`, `B_PER` or `PER-B`.
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
_SAMPLE_LINES = 2000
"""The columns are detected on this many lines."""
_EXPECTED = "O, or B, I (E, S; L, U) with a type, as B-PER"
_COMMENT = re.compile(r"#(?:\s|$)")
_COUNT = re.compile(r"\d+(?:[-.]\d+)?")


class Layout(NamedTuple):
    """The separator of columns, the indices of the word and the label column, and the number of columns. `label` None:
    no column holds labels."""

    by_tabs: bool
    word: int
    label: int | None
    width: int

    def cells(self, line: str) -> list[str]:
        """The cells of a line."""
        return line.split("\t") if self.by_tabs else re.split(r"[ \t]+", line.strip(" \t"))

    def problem(self, cells: Sequence[str], line: str) -> str:
        """The error message for a line; "" if the line is valid."""
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
        """The word, and the label normalised to BIO, BIOES or BILOU with the letter first."""
        assert self.label is not None
        return cells[self.word].strip(), _plain(cells[self.label])


def is_comment(line: str) -> bool:
    """Whether a line is a comment (`# id 1`) rather than the word `#` with its label."""
    return (
        _COMMENT.match(line) is not None and label_problem(re.split(r"[ \t]+", line.strip())[-1]) != ""
    ) or (line.startswith("#") and line.count("\t") == 0 and len(line.split()) > 3)


def find_layout(file: Path) -> Layout:
    """Detect the columns of a file from its first lines. Raises ValueError if the only word column is a count."""
    lines = (line for _, line in text_lines(file, Problems()))
    sample = [
        line
        for line in islice(lines, _SAMPLE_LINES)
        if line.strip(" \t") and not line.startswith("-DOCSTART-")
    ]
    sample = [line for line in sample if not is_comment(line)]
    by_tabs = 2 * sum("\t" in line for line in sample) >= max(len(sample), 1)
    rows = [Layout(by_tabs, 0, None, 0).cells(line) for line in sample]
    width = min((len(row) for row in rows if len(row) > 1), default=0)
    rows = [row for row in rows if len(row) >= width > 1]
    columns = [[row[place] for row in rows] for place in range(width)]
    labels = [
        place
        for place in range(1, width)
        if rows and _most(label_problem(cell) == "" for cell in columns[place])
    ]
    label = _entity_column(labels, columns)
    words = [place for place in range(width) if place != label and not _is_count(columns[place])]
    if label is not None and label > 0 and not words:
        raise ValueError(
            f"{file}: the column that would hold the words holds numbers alone ({', '.join(columns[0][:3])}, "
            f"…); expected a word "
            "and its label a line"
        )
    return Layout(by_tabs, words[0] if words else 0, label, width)


def _entity_column(places: Sequence[int], columns: Sequence[Sequence[str]]) -> int | None:
    """The entity column among several label columns: the last one with a label other than O (chunk labels, B-NP,
    precede entity labels, B-PER)."""
    used = [place for place in places if any(cell != OUTSIDE for cell in columns[place])]
    candidates = used or list(places)
    return candidates[-1] if candidates else None


def _most(flags: Iterable[bool]) -> bool:
    """Whether at least nine of ten are true (half, if there are fewer than ten): a single wrong label is reported with
    its line later."""
    values = list(flags)
    return sum(values) * 10 >= len(values) * 9 or (len(values) < 10 and sum(values) * 2 >= len(values))


def _is_count(cells: Sequence[str]) -> bool:
    """Whether a column holds the running index of the words in a sentence."""
    return len(cells) > 1 and all(map(_COUNT.fullmatch, cells)) and any(cell in ("0", "1") for cell in cells)


def label_problem(label: str) -> str:
    """The error message for a label; "" if it is valid."""
    return "" if _LABEL.fullmatch(label) else f"label {label!r}: expected {_EXPECTED}"


def _plain(label: str) -> str:
    """A label in the form letter, hyphen, type: `B_PER`, `PER-B` → `B-PER`; a bare letter gets the type ENT."""
    if label == OUTSIDE:
        return label
    if re.fullmatch(r"[BIESMLU](?:[-_].+)?", label):
        return f"{label[0]}-{label[2:] or 'ENT'}"
    return f"{label[-1]}-{label[:-2]}"


def biluo_to_bio(labels: Sequence[str]) -> list[str]:
    """Convert BILOU letters to BIOES: L → E, U → S."""
    letters = {"L": "E", "U": "S"}
    return [letters.get(label[0], label[0]) + label[1:] if label != OUTSIDE else label for label in labels]
