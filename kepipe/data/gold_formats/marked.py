"""The output of all gold set readers: a text with its mentions, as a record in kepipe's own format."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from kg.problems import Problems

MarkedText = tuple[int, dict[str, Any]]
"""Its line in the file, and `{"id", "text", "mentions": [{"start", "end", "entity", "type", "entities"}, …],
"evaluation_span"}`; `entities`: all ids of the entity."""


def mark(start: Any, end: Any, ids: Iterable[Any], type: Any = "") -> dict[str, Any]:
    """A mention record. Raises ValueError if an offset is not a number; without an id, the entity is outside the
    graph."""
    if not isinstance(start, int) or not isinstance(end, int) or isinstance(start, bool):
        raise ValueError(f"expected start and end of a mention, found {start!r} and {end!r}")
    known = [str(id) for id in ids if id not in (None, "")]
    return {
        "start": start, "end": end, "entity": known[0] if known else "NIL", "entities": known, "type": str(type or ""),
    }  # fmt: skip


def require_same(text: str, start: int, end: int, marked: str) -> None:
    """Raise ValueError if the text of a mention differs from the one in the file, ignoring white space."""
    if text[start:end].split() != marked.split():
        found = text[start:end]
        raise ValueError(
            f"the mention {start}..{end} should be {marked[:40]!r}, but the text there is {found[:40]!r}: are the "
            "offsets in bytes or UTF-16 units, or is this another text?"
        )


def checked(
    file: Path, line: int, text: str, marks: Iterable[tuple[int, int, str]], problems: Problems
) -> Iterator[int]:
    """The indices of the mentions whose text agrees with the file; the others are reported as problems."""
    for number, (start, end, marked) in enumerate(marks):
        try:
            require_same(text, start, end, marked)
        except ValueError as error:
            problems.add(file, line, str(error))
        else:
            yield number


def texts_of(value: Any, key: str) -> str:
    """A text under a key. Raises ValueError if it is missing, empty or not a string."""
    found = value.get(key) if isinstance(value, dict) else None
    if not isinstance(found, str) or not found.strip():
        raise ValueError(f"`{key}` is missing, empty or not a string")
    return found


def entries(value: Any, key: str) -> list[Any]:
    """A list under a key; empty if it is missing. Raises ValueError for anything else."""
    found = value.get(key)
    if found is None:
        return []
    if not isinstance(found, list):
        raise ValueError(f"`{key}`: expected a list, found {str(found)[:40]!r}")
    return found
