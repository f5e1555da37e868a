"""Gold sets of JSON lines: kepipe's own, ELEVANT's, doccano's and BLINK's, distinguished by their keys."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from kepipe.data.gold_formats.marked import MarkedText, entries, mark, texts_of
from kepipe.data.line_readers import json_lines
from kg.problems import Problems
from kg.sources.account import Account


def read_own(file: Path, problems: Problems) -> Iterator[MarkedText]:
    """`{"text", "mentions" or "gold": [{"start", "end", "entity"}], "evaluation_span"}`."""
    yield from json_lines(file, problems)


def read_elevant(file: Path, problems: Problems) -> Iterator[MarkedText]:
    """`{"text", "labels": [{"span": [start, end], "entity_id", "type"}], "evaluation_span"}`; labels marked as
    optional are skipped."""
    yield from _read(file, problems, lambda record: _elevant(record, problems.account))


def read_doccano(file: Path, problems: Problems) -> Iterator[MarkedText]:
    """`{"text", "label": [[start, end, entity]]}`, or `entities` with `start_offset`, `end_offset`, `label`."""
    yield from _read(file, problems, _doccano)


def read_blink(file: Path, problems: Problems) -> Iterator[MarkedText]:
    """`{"context_left", "mention", "context_right", "label_title", "label_id"}`: one mention per text."""
    yield from _read(file, problems, _blink)


def _read(file: Path, problems: Problems, parse: Callable[[Any], dict[str, Any]]) -> Iterator[MarkedText]:
    for number, record in json_lines(file, problems):
        try:
            yield number, parse(record)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            problems.add(file, number, str(error))


def _elevant(record: Any, account: Account) -> dict[str, Any]:
    text, marks = texts_of(record, "text"), []
    for label in entries(record, "labels"):
        start, end = label["span"]
        if label.get("optional"):
            account.leave("optional marks")
        else:
            kind = label.get("type")
            marks.append(mark(start, end, [label.get("entity_id")], "" if kind == "OTHER" else kind))
    return _record(record, text, marks) | {"evaluation_span": record.get("evaluation_span")}


def _doccano(record: Any) -> dict[str, Any]:
    text, marks = texts_of(record, "text"), []
    for key in ("label", "labels"):
        marks += [mark(start, end, [label]) for start, end, label in entries(record, key)]
    for entity in entries(record, "entities"):
        marks.append(mark(entity["start_offset"], entity["end_offset"], [entity["label"]]))
    return _record(record, text, marks)


def _blink(record: Any) -> dict[str, Any]:
    left, name, right = (
        record.get("context_left") or "",
        texts_of(record, "mention"),
        record.get("context_right") or "",
    )
    before = left + " " * (bool(left) and not left[-1].isspace())
    after = " " * (bool(right) and right[0].isalnum()) + right
    ids = [record.get(key) for key in ("label_title", "label_id", "wikidata_id", "label")]
    text = before + name + after
    span = [len(before), len(before) + len(name)]
    marked = _record(record, text, [mark(span[0], span[1], ids, record.get("type"))])
    return marked | {"evaluation_span": span}


def _record(record: Any, text: str, marks: list[dict[str, Any]]) -> dict[str, Any]:
    return {"id": record.get("id"), "text": text, "mentions": marks}
