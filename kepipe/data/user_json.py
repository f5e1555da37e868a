"""JSON of users' files, with every string in it checked.

JSON can write half of a surrogate pair ("\\ud83d" alone), which is no character: no file in UTF-8 holds it, and no
tokenizer reads it. Programs that cut texts by UTF-16 units leave such halves. A record with one is invalid, whichever
key it stands under, as is a line of invalid UTF-8.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from kg.columns import encode
from kg.regular_files import JsonError, parse_json

_ESCAPED_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


def parse_record(text: str) -> Any:
    """The value of a record's JSON. Raises JsonError as `parse_json`, and for half of a surrogate pair."""
    record = parse_json(text)
    if _ESCAPED_SURROGATE.search(text):  # text that was decoded from UTF-8 has no other surrogates
        require_whole_characters(record)
    return record


def valid_records(
    records: Iterable[Any], on_bad: Callable[[int, str], None], text: str | None = None
) -> Iterator[tuple[int, Any]]:
    """The records of a file that was parsed as a whole, with their numbers from 1, without those that have half of a
    surrogate pair: `on_bad(number, message)` is called for these. `text`: what the records were parsed from, decoded
    from UTF-8; without an escaped surrogate in it, no record is searched."""
    searched = text is None or _ESCAPED_SURROGATE.search(text) is not None
    for number, record in enumerate(records, start=1):
        try:
            if searched:
                require_whole_characters(record)
        except JsonError as error:
            on_bad(number, str(error))
        else:
            yield number, record


def require_whole_characters(record: Any) -> None:
    """Raise JsonError, naming the key, if a string or a key of a parsed record has half of a surrogate pair."""
    remaining = [("", record)]
    while remaining:
        place, value = remaining.pop()
        if isinstance(value, str):
            try:
                encode(value)
            except ValueError as error:
                raise JsonError(f"{f'`{place}`: ' if place else ''}{error}") from None
        elif isinstance(value, dict):
            inside = [(f"{place}.{key}".removeprefix("."), inner) for key, inner in value.items()]
            remaining += reversed(inside)
            remaining += [(place, key) for key in reversed(value)]  # taken first: messages name keys
        elif isinstance(value, list):
            remaining += reversed([(f"{place}[{index}]", inner) for index, inner in enumerate(value)])
