"""What a task asks about: a text or two, the spans that it asks about, and the answers, before any tokenizer."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kepipe.data.document import Mention, Span
from kepipe.data.line_readers import json_lines
from kepipe.data.watched_records import watched
from kg.problems import Problems
from kg.regular_files import LONGEST_LINE, JsonError, open_regular, parse_json, read_small


@dataclass(frozen=True, slots=True)
class Example:
    """One question of a task.

    `spans`: the characters of `text` that are asked about: head and tail; the mention to be typed; in tagging every
    word. `labels`: the true answer, several for typing, one for each span in tagging; () says that none of the labels
    is right, None that the answer is not known. `second`: the other text of a pair. `mentions`, `second_mentions`:
    entities that the two texts name. `group`: the question that a pair belongs to. `answers`: where in `second` each
    answer of `labels` stands, for extractive answers.
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

    @property
    def gold(self) -> tuple[str, ...]:
        """The true answer. Raises ValueError where it is not known."""
        if self.labels is None:
            raise ValueError(f"{self.id}: the true answer is not known")
        return self.labels


Record = Mapping[str, Any]
Reader = Callable[[Path, Problems], Iterator[Example]]
"""File → examples in order. What is wrong goes to `Problems` with its line; a file of no known kind is a ValueError."""


def records(file: Path, problems: Problems) -> Iterator[tuple[int, Record]]:
    """The objects of a JSON-lines file with their lines, or of a file that is one JSON array with their numbers. The
    account of `problems` is told which keys are asked for."""
    with open_regular(file) as stream:
        array = stream.read(64).lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"[")
    entries = _array(file) if array else json_lines(file, problems)
    yield from watched(_objects(entries, file, problems), problems.account)


def _objects(
    entries: Iterable[tuple[int, Any]], file: Path, problems: Problems
) -> Iterator[tuple[int, Record]]:
    for number, entry in entries:
        if isinstance(entry, dict):
            yield number, entry
        else:
            problems.add(file, number, f"expected a JSON object, found {type(entry).__name__}")


def _array(file: Path) -> Iterator[tuple[int, Any]]:
    try:
        entries = parse_json(read_small(file, LONGEST_LINE).decode("utf-8-sig"))
    except JsonError as error:
        raise ValueError(f"{file}:{error.line}: {error}") from None
    yield from enumerate(entries, start=1)


def read_records(
    file: Path, problems: Problems, parse: Callable[[Record, str], Example]
) -> Iterator[Example]:
    """The examples that `parse` makes of a file's objects and their ids; KeyError and ValueError tell of a bad one."""
    for number, record in records(file, problems):
        try:
            yield parse(record, f"{file.stem}:{number}")
        except KeyError as missing:
            problems.add(file, number, f"`{missing.args[0]}` is missing")
        except (ValueError, TypeError, IndexError) as error:
            problems.add(file, number, str(error))


def from_words(words: Iterable[Any]) -> tuple[str, list[Span]]:
    """Words as one text with blanks between them, and the characters of each."""
    spans: list[Span] = []
    at = 0
    given = [text_of(word) for word in words]
    for word in given:
        spans.append(Span(at, at + len(word)))
        at += len(word) + 1
    return " ".join(given), spans


def over(spans: Sequence[Span], first: Any, stop: Any) -> Span:
    """The characters of words first..stop (exclusive). Raises ValueError for words that there are not."""
    if not (isinstance(first, int) and isinstance(stop, int) and 0 <= first < stop <= len(spans)):
        raise ValueError(f"words {first} to {stop} (exclusive) are not among the {len(spans)} of the text")
    return Span(spans[first].start, spans[stop - 1].end)


def within(text: str, start: Any, end: Any) -> Span:
    """Characters start..end (exclusive) of a text. Raises ValueError where they are none of its."""
    if not (isinstance(start, int) and isinstance(end, int) and 0 <= start < end <= len(text)):
        raise ValueError(
            f"characters {start} to {end} (exclusive) are not in the text, which has {len(text)}"
        )
    return Span(start, end)


def mentions_of(record: Record) -> tuple[Mention, ...]:
    """The entities that a record's text names by `mentions`, in order. Raises ValueError where they are not in it."""
    told = record.get("mentions", ())
    found = [
        Mention(*within(record["text"], one["start"], one["end"]), text_of(one["entity"])) for one in told
    ]
    return tuple(sorted(found, key=lambda mention: mention.start))


def text_of(value: Any) -> str:
    """The value, which has to be a string. Raises ValueError."""
    if not isinstance(value, str):
        raise ValueError(f"expected text, found {json.dumps(value, ensure_ascii=False)[:60]}")
    return value
