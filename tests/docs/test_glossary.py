"""The glossary defines each word once, and its references exist."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
LINES = (ROOT / "docs" / "glossary.md").read_text(encoding="utf-8").splitlines()
ENTRIES = [
    [cell.strip() for cell in line.strip("|").split("|")]
    for line in LINES
    if line.startswith("| ") and not line.startswith("| word |")
]


def test_every_word_has_one_entry_with_meaning_and_place() -> None:
    assert {len(entry) for entry in ENTRIES} == {3}
    words = [word.lower() for entry in ENTRIES for word in entry[0].split(", ")]
    assert len(words) == len(set(words))


def test_every_place_exists() -> None:
    places = [place for entry in ENTRIES for place in re.findall(r"`([^`]+)`", entry[2])]
    assert len(places) >= len(ENTRIES)
    assert [place for place in places if not (ROOT / place).exists()] == []
