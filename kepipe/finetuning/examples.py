"""Examples of a task before tokenisation: one or two texts, the spans in question, and the gold labels."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from kepipe.data.document import Mention, Span
from kepipe.data.line_readers import json_lines
from kepipe.data.user_json import valid_records
from kepipe.data.watched_records import watched
from kg.problems import Problems
from kg.regular_files import LONGEST_LINE, JsonError, open_regular, parse_json, read_small


@dataclass(frozen=True, slots=True)
class Example:
    """One example of a task.

    `spans`: character spans of `text` that the task asks about: head and tail; the mention to be typed; in tagging
    every word. `labels`: the gold labels: several for typing, one per span in tagging; () means that no label applies,
    None that the gold labels are unknown. `second`: the second text of a pair. `mentions`, `second_mentions`: entities
    that the texts mention. `group`: the question that a pair belongs to. `answers`: character spans of the `labels` in
    `second`, for extractive answers. `links`: the gold mentions of entities, if the task finds them.
    """

    id: str
    text: str
    spans: tuple[Span, ...] = ()
    labels: tuple[str, ...] | None = None
    second: str = ""
    mentions: tuple[Mention, ...] = ()
    second_mentions: tuple[Mention, ...] = ()
    group: str = ""
    answers: tuple[Span, ...] = ()
    links: tuple[Mention, ...] = ()

    @property
    def gold(self) -> tuple[str, ...]:
        """The gold labels. Raises ValueError if they are unknown."""
        if self.labels is None:
            raise ValueError(f"{self.id}: the gold labels are unknown")
        return self.labels


Record = Mapping[str, Any]
Reader = Callable[[Path, Problems], Iterator[Example]]
"""File → examples in order. Bad lines are added to `Problems`; raises ValueError for an unknown format."""


def records(file: Path, problems: Problems) -> Iterator[tuple[int, Record]]:
    """The objects of a JSON-lines file with their line numbers, or of a JSON array with their indices from 1. The keys
    that are accessed are recorded in `problems.account`."""
    with open_regular(file) as stream:
        array = stream.read(64).lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"[")
    entries = _array(file, problems) if array else json_lines(file, problems)
    yield from watched(_objects(entries, file, problems), problems.account)


def _objects(
    entries: Iterable[tuple[int, Any]], file: Path, problems: Problems
) -> Iterator[tuple[int, Record]]:
    for number, entry in entries:
        if isinstance(entry, dict):
            yield number, entry
        else:
            problems.add(file, number, f"expected a JSON object, found {type(entry).__name__}")


def _array(file: Path, problems: Problems) -> Iterator[tuple[int, Any]]:
    try:
        text = read_small(file, LONGEST_LINE).decode("utf-8-sig")
        entries = parse_json(text)
    except JsonError as error:
        raise ValueError(f"{file}:{error.line}: {error}") from None
    yield from valid_records(entries, partial(problems.add, file), text)


def read_records(
    file: Path, problems: Problems, parse: Callable[[Record, str], Example]
) -> Iterator[Example]:
    """Examples parsed from the objects of a file. `parse(record, default_id)` raises KeyError or ValueError for a bad
    one, which is added to `problems`."""
    for number, record in records(file, problems):
        try:
            yield parse(record, f"{file.stem}:{number}")
        except KeyError as missing:
            problems.add(file, number, f"`{missing.args[0]}` is missing")
        except (ValueError, TypeError, IndexError) as error:
            problems.add(file, number, str(error))


def from_words(words: Iterable[Any]) -> tuple[str, list[Span]]:
    """The words joined by spaces, and the character span of each."""
    spans: list[Span] = []
    start = 0
    texts = [text_of(word) for word in words]
    for word in texts:
        spans.append(Span(start, start + len(word)))
        start += len(word) + 1
    return " ".join(texts), spans


def words_span(spans: Sequence[Span], first: Any, stop: Any) -> Span:
    """The character span of words first..stop (exclusive). Raises ValueError if they are out of range."""
    if not (isinstance(first, int) and isinstance(stop, int) and 0 <= first < stop <= len(spans)):
        raise ValueError(f"words {first} to {stop} (exclusive) are not among the {len(spans)} of the text")
    return Span(spans[first].start, spans[stop - 1].end)


def checked_span(text: str, start: Any, end: Any) -> Span:
    """The span start..end (exclusive) of a text. Raises ValueError if it is out of range."""
    if not (isinstance(start, int) and isinstance(end, int) and 0 <= start < end <= len(text)):
        raise ValueError(
            f"characters {start} to {end} (exclusive) are not in the text, which has {len(text)}"
        )
    return Span(start, end)


def mentions_of(record: Record) -> tuple[Mention, ...]:
    """The `mentions` of a record, in order. Raises ValueError if one is outside of the text."""
    mentions = [
        Mention(*checked_span(record["text"], item["start"], item["end"]), text_of(item["entity"]))
        for item in record.get("mentions", ())
    ]
    return tuple(sorted(mentions, key=lambda mention: mention.start))


def text_of(value: Any) -> str:
    """The value, if it is a string. Raises ValueError otherwise."""
    if not isinstance(value, str):
        raise ValueError(f"expected text, found {json.dumps(value, ensure_ascii=False)[:60]}")
    return value
