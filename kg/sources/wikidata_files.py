"""The entities of a file of Wikidata's JSON, in any of its layouts.

The dump is an array with one entity per line, or JSON lines. The API (`wbgetentities`, `Special:EntityData`) returns
`{"entities": {"Q64": {…}}}`; such a file may have one line or many, and so may an array.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from itertools import chain, islice
from pathlib import Path
from typing import Any

from kg.problems import Problems
from kg.regular_files import SMALL, JsonError, parse_json
from kg.sources.reading import DAMAGE, Tick, open_bytes, read_lines

_ENDS = (b"[", b"]")


def entity_texts(file: Path, problems: Problems, tick: Tick) -> Iterator[tuple[int, bytes | Any]]:
    """Yield each entity, parsed or as text, with its line. Raises ValueError for a file with several lines per entity
    that is too large to be read as a whole."""
    lines = read_lines(file, problems, tick)
    first = [(number, line.strip()) for number, line in islice(lines, 2)]
    texts = [text for _, text in first]
    if texts[:1] == [b"{"] or texts == [b"[", b"{"]:
        yield from _whole(file, problems)
        return
    for number, line in chain(first, lines):
        text = line.strip().rstrip(b",")
        if text in _ENDS:
            continue
        if text.startswith((b"[", b'{"entities"')) or b'"entities"' in text[:80]:
            try:
                yield from ((number, one) for one in _members(parse_json(text)))
            except JsonError as error:
                problems.add(file, number, str(error))
        else:
            yield number, text


def _whole(file: Path, problems: Problems) -> Iterator[tuple[int, Any]]:
    try:
        with open_bytes(file, lambda _: None) as stream:
            content = io.BytesIO(stream.read(SMALL + 1)).getvalue()
    except DAMAGE as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        problems.add(file, 0, f"the compressed data is damaged ({error})")
        return
    if len(content) > SMALL:
        raise ValueError(
            f"{file}: entities of several lines each, in more than {SMALL >> 20} MB: write one a line: jq -c "
            f"'.[]' {file.name}"
        )
    try:
        parsed = parse_json(content)
    except JsonError as error:
        problems.add(file, error.line, str(error))
        return
    yield from ((1, one) for one in _members(parsed))


def _members(parsed: Any) -> list[Any]:
    """The entities of an array, of an API response, or of a single entity."""
    if isinstance(parsed, dict) and isinstance(parsed.get("entities"), dict | list):
        entities = parsed["entities"]
        return list(entities.values()) if isinstance(entities, dict) else entities
    return parsed if isinstance(parsed, list) else [parsed]
