"""Label Studio's export as JSON: one text per task, with the first annotation that was not cancelled.

If a region has a choice, a taxonomy or a text area, that is its entity and the label its type; else the label is the
entity.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kepipe.data.gold_formats.marked import MarkedText, entries, mark, require_same
from kepipe.data.user_json import valid_records
from kg.problems import Problems
from kg.regular_files import JsonError, parse_json, read_small

_LARGEST = 1 << 30


def read_label_studio(file: Path, problems: Problems) -> Iterator[MarkedText]:
    """The tasks that have an annotation."""
    try:
        tasks = parse_json(read_small(file, _LARGEST))
    except JsonError as error:
        problems.add(file, error.line, str(error))
        return

    def skip(number: int, message: str) -> None:
        problems.add(file, 0, f"task {number}: {message}")

    for number, task in valid_records(tasks if isinstance(tasks, list) else [tasks], skip):
        try:
            marked = _read(task)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            skip(number, str(error))
        else:
            if marked is not None:
                yield number, marked


def _read(task: Any) -> dict[str, Any] | None:
    given = entries(task, "annotations") or entries(task, "completions")
    chosen = next((one for one in given if not one.get("was_cancelled")), None)
    if chosen is None:
        return None
    results = entries(chosen, "result")
    name = next((one["to_name"] for one in results if "to_name" in one), "text")
    texts = {key: value for key, value in task["data"].items() if isinstance(value, str)}
    text = texts.get(name) or texts.get("text") or next(iter(texts.values()), "")
    if not text:
        raise ValueError("`data` has no text")
    entity_of = {one.get("id"): entity for one in results if (entity := _entity(one["value"]))}
    marks = []
    for one in results:
        value = one["value"]
        labels = value.get("labels") or value.get("hypertextlabels")
        if labels is None or "start" not in value:
            continue
        if isinstance(value.get("text"), str):
            require_same(text, value["start"], value["end"], value["text"])
        chosen_entity = entity_of.get(one.get("id"))
        kind = labels[0] if chosen_entity else ""
        marks.append(mark(value["start"], value["end"], [chosen_entity or labels[0]], kind))
    return {"id": task.get("id"), "text": text, "mentions": marks}


def _entity(value: Any) -> str:
    """The last element of a choice, taxonomy or text area."""
    if "choices" in value:
        return str(value["choices"][-1])
    if "taxonomy" in value:
        return str(value["taxonomy"][-1][-1])
    if "labels" not in value and isinstance(value.get("text"), list):
        return str(value["text"][-1])
    return ""
