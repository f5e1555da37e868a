"""What a setting may be: `--set-range KEY=LOW..HIGH`, `KEY=LOW..HIGH:log`, `KEY=[a, b, c]`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kepipe.config import ConfigError, as_yaml, parse_value

DIGITS = 4
"""Significant digits of a number that is drawn: more would tell nothing apart."""
_NUMBERS = re.compile(r"\s*([-+.\deE]+?)\.\.([-+.\deE]+?)(?::(log|step=([.\deE+-]+)))?\s*")
EXPECTED = "expected KEY=LOW..HIGH, KEY=LOW..HIGH:log, KEY=LOW..HIGH:step=N, or KEY=[one, another]"

Ranges = Mapping[str, Any] | Sequence[str]
"""Key of a setting → its range, `"1e-5..1e-3:log"` or a list of choices; or as `--set-range` takes them."""


@dataclass(frozen=True)
class Numbers:
    """Numbers from `low` to `high`, both included. `integer`: only whole numbers. `log`: all orders of magnitude
    are equally likely. `step`: the distance of neighbouring values; None: any value."""

    key: str
    low: float
    high: float
    integer: bool
    log: bool = False
    step: float | None = None

    def rounded(self, value: float) -> int | float:
        """A number that was drawn, as it is set: to `DIGITS` digits, within the range."""
        if self.integer:
            return int(value)
        return min(max(float(f"{value:.{DIGITS}g}"), self.low), self.high)

    @property
    def shown(self) -> str:
        """The range as `--set-range` takes it."""
        low, high = map(as_yaml, self.ends())
        step = "" if self.step is None else f":step={self.step:g}"
        return f"{low}..{high}{':log' if self.log else step}"

    def ends(self) -> tuple[Any, ...]:
        """The values that are checked before anything runs."""
        low, high = (int(self.low), int(self.high)) if self.integer else (self.low, self.high)
        return low, high


@dataclass(frozen=True)
class Choices:
    """One of several values, each as YAML writes it."""

    key: str
    values: tuple[str, ...]

    @property
    def shown(self) -> str:
        """The range as `--set-range` takes it."""
        return f"[{', '.join(self.values)}]"

    def ends(self) -> tuple[Any, ...]:
        """The values that are checked before anything runs."""
        return tuple(parse_value(value) for value in self.values)


Range = Numbers | Choices


def read_ranges(given: Ranges) -> tuple[Range, ...]:
    """The ranges, in the order given. Raises ConfigError for one that is none, and for a key that is given twice."""
    if isinstance(given, Mapping):
        pairs = [(key, value) for key, value in given.items()]
    else:
        pairs = [_split(text) for text in given]
    if not pairs:
        raise ConfigError(f"no setting to search: {EXPECTED} (--set-range)")
    keys = [key for key, _ in pairs]
    for key in keys:
        if keys.count(key) > 1:
            raise ConfigError(f"--set-range {key}: given twice")
    return tuple(_read(key, value) for key, value in pairs)


def _split(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not key or not equals:
        raise ConfigError(f"--set-range {text}: {EXPECTED}")
    return key, value


def _read(key: str, given: Any) -> Range:
    if isinstance(given, str):
        if (found := _NUMBERS.fullmatch(given)) is not None:
            return _numbers(key, given, found)
        try:
            given = parse_value(given)
        except ConfigError:
            given = None
    if not isinstance(given, list | tuple):
        raise ConfigError(f"--set-range {key}: {EXPECTED}")
    values = tuple(as_yaml(value) for value in given)
    if len(set(values)) < 2:
        raise ConfigError(f"--set-range {key}: a choice needs two values or more; `--set` sets one")
    return Choices(key, values)


def _numbers(key: str, text: str, found: re.Match[str]) -> Numbers:
    parts = (found[1], found[2], *([found[4]] if found[4] else []))
    try:
        low, high, *step = map(float, parts)
    except ValueError:
        raise ConfigError(f"--set-range {key}={text}: {EXPECTED}") from None
    integer = all(re.fullmatch(r"[-+]?\d+", part) for part in parts)
    log = found[3] == "log"
    if not low < high:
        raise ConfigError(f"--set-range {key}={text}: {found[1]} is not below {found[2]}")
    if log and not low > 0:
        raise ConfigError(f"--set-range {key}={text}: orders of magnitude begin above 0")
    if step and not 0 < step[0] <= high - low:
        raise ConfigError(f"--set-range {key}={text}: no step of {found[4]} fits in between")
    return Numbers(key, low, high, integer, log, step[0] if step else None)
