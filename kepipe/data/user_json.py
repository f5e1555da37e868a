"""JSON of users' files, with every string in it checked.

JSON can write half of a surrogate pair ("\\ud83d" alone), which is no character: no file in UTF-8 holds it, and no
tokenizer reads it. Programs that cut texts by UTF-16 units leave such halves. A record with one is invalid, whichever
key it stands under, as is a line of invalid UTF-8.
"""

from __future__ import annotations

import re
from typing import Any

from kg.columns import encode
from kg.regular_files import JsonError, parse_json

_ESCAPED_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


def parse_record(text: str) -> Any:
    """The value of a record's JSON. Raises JsonError as `parse_json`, and for half of a surrogate pair."""
    record = parse_json(text)
    if _ESCAPED_SURROGATE.search(text):  # text that was decoded from UTF-8 has no other surrogates
        require_characters(record)
    return record


def require_characters(record: Any) -> None:
    """Raise JsonError, naming the key, if a string or a key of a parsed record has half of a surrogate pair. For the
    records of a file that is parsed as a whole."""
    remaining = [("", record)]
    while remaining:
        place, value = remaining.pop()
        if isinstance(value, str):
            try:
                encode(value)
            except ValueError as error:
                raise JsonError(f"{f'`{place}`: ' if place else ''}{error}") from None
        elif isinstance(value, dict):
            remaining += [(place, key) for key in value]
            remaining += [(f"{place}.{key}".removeprefix("."), inner) for key, inner in value.items()]
        elif isinstance(value, list):
            remaining += [(f"{place}[{index}]", inner) for index, inner in enumerate(value)]
