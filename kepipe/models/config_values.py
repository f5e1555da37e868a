"""Values of models' configs: what a config.json may hold, and how what it may not is told."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields
from functools import cache
from math import isfinite
from pathlib import Path
from types import NoneType
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

Part = TypeVar("Part")

LARGEST = {
    "vocabulary": 1 << 24, "hidden": 1 << 17, "heads": 1 << 12, "feedforward": 1 << 20, "encoder_layers": 1 << 10,
    "decoder_layers": 1 << 10, "width": 1 << 16, "positions": 1 << 24, "position_offset": 1 << 10,
    "relative_buckets": 1 << 16, "relative_farthest": 1 << 24, "segments": 1 << 16, "tasks": 1 << 16, "rows": 1 << 31,
    "first": 1 << 10, "embedding": 1 << 17, "layers": 1 << 10,
}  # fmt: skip
"""Size → the largest that a config may state, far above any published model's: a config comes with a folder of others,
and a model is built to its sizes before a weight is read."""


def require_known(values: Mapping[str, Any], config: type[Any]) -> None:
    """Raise ValueError where a config's file has keys that its dataclass has not."""
    unknown = values.keys() - {field.name for field in fields(config)}
    if unknown:
        raise ValueError(f"unknown keys of a model's config: {', '.join(sorted(unknown))}")


def require_values(config: Any) -> None:
    """Raise ValueError where a size of a config is no whole number, or one that is out of bounds, and where another
    value is not of its field's kind."""
    for name, largest in LARGEST.items():
        require_size(name, getattr(config, name, 0), largest)
    for name, (expected, fits) in _kinds(config.__class__).items():
        value = getattr(config, name)
        if not fits(value):
            raise ValueError(f"`{name}`: expected {expected}, found {as_written(value)}")


def require_size(name: str, size: Any, largest: int, least: int = 0) -> None:
    """Raise ValueError where a value is no whole number from `least` to `largest`."""
    if type(size) is not int or not least <= size <= largest:
        bounds = f"from {least:,} to {largest:,}" if least else f"up to {largest:,}"
        raise ValueError(f"`{name}`: expected a whole number {bounds}, found {as_written(size)}")


def read_part(values: Mapping[str, Any], name: str, part: type[Part]) -> Part | None:
    """A part of a config, from its object in the values of a config's file; None where there is none. Raises
    ValueError."""
    found = values.get(name)
    if found is None:
        return None
    if not isinstance(found, dict):
        raise ValueError(f"`{name}`: expected an object, found {as_written(found)}")
    require_known(found, part)
    return part(**found)


@cache
def _kinds(config: type[Any]) -> Mapping[str, tuple[str, Callable[[Any], bool]]]:
    """Field → what is expected of it, and whether a value is that; of words, texts, numbers and objects."""
    kinds: dict[str, tuple[str, Callable[[Any], bool]]] = {}
    hints = get_type_hints(config)
    for name in (each.name for each in fields(config)):
        members = (hints[name],) if get_origin(hints[name]) is Literal else get_args(hints[name])
        words = [word for member in members for word in get_args(member) if get_origin(member) is Literal]
        if words:
            allowed = [*words, None] if NoneType in members else words
            kinds[name] = (", ".join(words), allowed.__contains__)
        elif name.endswith("dropout"):
            kinds[name] = ("a number from 0 to 1", lambda value: is_number(value) and 0 <= value <= 1)
        elif hints[name] is float:
            kinds[name] = ("a number", is_number)
        elif hints[name] is str:
            kinds[name] = ("a text", lambda value: isinstance(value, str))
        elif get_origin(hints[name]) is Mapping:
            kinds[name] = ("an object", lambda value: isinstance(value, Mapping))
    return kinds


def is_number(value: Any) -> bool:
    """Whether a value is a finite number."""
    return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)


def as_written(value: Any) -> str:
    """A value of a config as its JSON has it: a text in quotes, `null`, `true`; its first 40 characters."""
    return json.dumps(value, ensure_ascii=False, default=str)[:40]


@contextmanager
def located(file: Path) -> Iterator[None]:
    """For reading the values of a config: what is raised for one of the wrong kind becomes a ValueError that begins
    with the file. Other files, whose readers name them, are read outside."""
    try:
        yield
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        message = f"`{error.args[0]}` is missing" if type(error) is KeyError else str(error)
        raise ValueError(f"{file}: {message}") from None
