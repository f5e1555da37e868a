"""BRAT's standoff: a folder of `.txt` files, each with an `.ann` file of the same name, or one such file.

`T1<tab>Person 0 13<tab>Angela Merkel` is a mention, `N1<tab>Reference T1 Wikidata:Q567<tab>…` its entity; without it,
the type is the entity. Discontinuous mentions are skipped, as are relations, events, attributes and notes.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from kepipe.data.gold_formats.marked import MarkedText, mark, require_same
from kepipe.data.line_readers import text_lines
from kg.problems import Problems
from kg.regular_files import read_small

_OTHERS = {
    "R": "relations", "*": "relations", "E": "events", "A": "attributes", "M": "attributes", "#": "notes",
}  # fmt: skip
"""Prefix of a line → its kind, for lines that are not mentions."""


def read_brat(path: Path, problems: Problems) -> Iterator[MarkedText]:
    """The texts that have an `.ann` file."""
    files = sorted(path.rglob("*.ann")) if path.is_dir() else [path.with_suffix(".ann")]
    for number, file in enumerate(files, start=1):
        written = file.with_suffix(".txt")
        if not written.is_file():
            problems.add(file, 0, f"there is no {written.name} in the same folder")
            continue
        try:
            text = read_small(written).decode()
        except UnicodeDecodeError as error:
            problems.add(written, 0, f"not UTF-8 (byte {error.start + 1})")
            continue
        marks = list(_marks(file, text, problems))
        yield number, {"id": written.relative_to(path).with_suffix("").as_posix() if path.is_dir() else written.stem,
                       "text": text, "mentions": marks}  # fmt: skip


def _marks(file: Path, text: str, problems: Problems) -> Iterator[dict[str, object]]:
    spans: dict[str, tuple[int, str, int, int]] = {}
    ids: dict[str, list[str]] = {}
    for number, line in text_lines(file, problems):
        cells = line.split("\t")
        try:
            if line.startswith("T"):
                kind, _, place = cells[1].partition(" ")
                if ";" in place:
                    raise ValueError(f"a discontinuous mention ({place}) is skipped")
                start, end = map(int, place.split())
                if len(cells) > 2:
                    require_same(text, start, end, cells[2])
                spans[cells[0]] = (number, kind, start, end)
            elif line.startswith("N"):
                _, target, reference = cells[1].split(maxsplit=2)
                ids.setdefault(target, []).extend((reference.partition(":")[2] or reference, reference))
            elif (other := _OTHERS.get(line[:1])) is not None:
                problems.account.leave(other)
        except (ValueError, IndexError) as error:
            problems.add(file, number, str(error))
    for name, (_, kind, start, end) in spans.items():
        known = ids.get(name)
        yield mark(start, end, known or [kind], kind if known else "")
