"""A YAML file as plain data, with the line of each key; assignments on top of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from kepipe.config.errors import ConfigError
from kg.regular_files import read_small

Key = tuple[str | int, ...]
LARGEST = 16 << 20
"""Bytes of the largest file of settings."""
DEEPEST, MOST = 100, 1_000_000
"""How deep its values may be nested, and how many there may be with all that its aliases stand for."""
_READ_AS = {"int": "a whole number", "float": "a number", "bool": "true or false", "timestamp": "a date"}
"""YAML's tag of a value → what the value is read as."""


@dataclass(frozen=True)
class Settings:
    """Plain data of a YAML file, and the line on which each key stands."""

    data: dict[str, Any]
    file: Path
    lines: Mapping[Key, int] = field(default_factory=dict)

    def where(self, key: Key) -> str:
        """`file:line` of a key, or of the nearest enclosing key that the file has."""
        for end in range(len(key), -1, -1):
            if key[:end] in self.lines:
                return f"{self.file}:{self.lines[key[:end]]}"
        return str(self.file)


def read(file: Path) -> Settings:
    """Parse a YAML file by the safe loader. Raises ConfigError for a missing file, bad YAML or a duplicate key."""
    try:
        text = read_small(file, LARGEST).decode()
    except FileNotFoundError:
        raise ConfigError(f"{file}: no such file") from None
    except (IsADirectoryError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file}: not a UTF-8 text file ({error})") from None
    lines: dict[Key, int] = {(): 1}
    data = _parse(text, str(file), lines)
    if data is None:
        data = {}
    if not isinstance(data, dict):
        raise ConfigError(f"{file}:1: expected `key: value` lines, found {type(data).__name__}")
    return Settings(data, file, lines)


def _parse(text: str, place: str, lines: dict[Key, int]) -> Any:
    """What a text of YAML holds, by the safe loader; fills in the lines of its keys. Raises ConfigError."""
    try:
        loader = yaml.SafeLoader(text)
        try:
            root = loader.get_single_node()
            if root is None:
                return None
            _require_bounded(root, place)
            return _construct(loader, root, (), lines, place)
        finally:
            loader.dispose()
    except yaml.MarkedYAMLError as error:
        line, problem = _in_words(error)
        raise ConfigError(f"{place}:{line}: not valid YAML: {problem}") from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise ConfigError(
            f"{place}:{line}: not valid YAML: the character U+{ord(text[error.position]):04X}"
        ) from None
    except RecursionError:
        raise ConfigError(f"{place}:{loader.line + 1}: nested more than {DEEPEST} deep: refused") from None


def _require_bounded(root: yaml.Node, place: str) -> None:
    """Raise ConfigError where aliases (`*name`) lead into themselves, or stand for so much that they fill the memory.

    An alias is the node that it names, and each is measured once.
    """
    sizes: dict[int, int] = {}
    inside: set[int] = set()

    def size(node: yaml.Node, at: Key) -> int:
        if id(node) in inside:
            raise _refused(
                node, at, place, "an alias of what it stands in, which begins on this line: refused"
            )
        if len(at) > DEEPEST:
            raise _refused(node, at, place, f"nested more than {DEEPEST} deep: refused")
        if id(node) not in sizes:
            inside.add(id(node))
            sizes[id(node)] = 1 + sum(size(part, (*at, key)) for key, part in _parts(node))
            inside.remove(id(node))
        if sizes[id(node)] > MOST:
            message = f"with its aliases this stands for more than {MOST:,} values: refused, as it may be meant to fill"
            raise _refused(node, at, place, f"{message} the memory")
        return sizes[id(node)]

    size(root, ())


def _parts(node: yaml.Node) -> Iterator[tuple[str | int, yaml.Node]]:
    """The nodes in a node, keys included, each with the key or the index that leads to it."""
    for index, value in enumerate([] if isinstance(node, yaml.ScalarNode) else node.value):
        if isinstance(value, tuple):
            key = value[0].value if isinstance(value[0], yaml.ScalarNode) else index
            yield from ((key, part) for part in value)
        else:
            yield index, value


def _refused(node: yaml.Node, at: Key, place: str, message: str) -> ConfigError:
    """The refusal of a value, with its line and its key."""
    name = ".".join(str(part)[:40] for part in at[:4]) + (".…" if len(at) > 4 else "")
    return ConfigError(f"{place}:{node.start_mark.line + 1}: {f'`{name}`: ' if name else ''}{message}")


def _in_words(error: yaml.MarkedYAMLError) -> tuple[int, str]:
    """The line of a mistake in YAML, and what to do about it where the parser's own words do not tell."""
    mark = error.problem_mark or error.context_mark
    line, problem = (mark.line + 1 if mark else 1), str(error.problem)
    begun = error.context_mark.line + 1 if error.context_mark else line
    if "'\\t'" in problem:
        return line, "a tab; lines are indented by spaces"
    if error.context == "while scanning a simple key":
        return begun, "expected `key: value`, with a space after the colon"
    if problem.startswith("expected <block end>"):
        return line, f"expected the indentation of the lines since {begun}"
    if (error.context or "").startswith("while parsing a flow"):
        return line, f"{problem}: what a bracket opens on line {begun} is not closed before this"
    return line, problem


def _construct(loader: yaml.SafeLoader, node: yaml.Node, at: Key, lines: dict[Key, int], place: str) -> Any:
    if isinstance(node, yaml.MappingNode) and node.tag == "tag:yaml.org,2002:map":
        _refuse_doubles(node, place)
        try:
            # `<<: *base` comes first, so that what stands beside it overrides it
            loader.flatten_mapping(node)
        except yaml.MarkedYAMLError as error:
            raise _refused(node, (*at, "<<"), place, str(error.problem)) from None
        values: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = str(_value(loader, key_node, at, place))
            lines[(*at, key)] = key_node.start_mark.line + 1
            values[key] = _construct(loader, value_node, (*at, key), lines, place)
        return values
    if isinstance(node, yaml.SequenceNode) and node.tag == "tag:yaml.org,2002:seq":
        items = []
        for index, item in enumerate(node.value):
            lines[(*at, index)] = item.start_mark.line + 1
            items.append(_construct(loader, item, (*at, index), lines, place))
        return items
    return _value(loader, node, at, place)


def _value(loader: yaml.SafeLoader, node: yaml.Node, at: Key, place: str) -> Any:
    """What a node stands for, with all that is in it. Raises ConfigError where its text is none of its kind, such as
    the date 2001-99-99, for a kind that the safe loader does not know, and for half of a surrogate pair."""
    for scalar in _scalars(node):
        try:
            scalar.value.encode()
        except UnicodeEncodeError:
            message = f"{scalar.value[:40]!r} has half of a surrogate pair; write the character itself"
            raise _refused(scalar, at, place, message) from None
    try:
        value = loader.construct_object(node, deep=True)
        str(value)  # refuses a hexadecimal number of more digits than Python writes
    except yaml.MarkedYAMLError as error:
        raise _refused(node, at, place, str(error.problem)) from None
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError):
        text = node.value if isinstance(node, yaml.ScalarNode) else ""
        text, kind = text if len(text) <= 40 else f"{text[:40]}…", node.tag.rpartition(":")[2]
        message = f"expected {_READ_AS.get(kind, f'a value of the kind {kind}')}, found {text or repr(text)}"
        # whether it is of this kind by itself, not by a tag in the file
        if node.tag == loader.resolve(yaml.ScalarNode, node.value, (True, False)):  # type: ignore[no-untyped-call]
            message += "; in quotes it is a text"
        raise _refused(node, at, place, message) from None
    return value


def _scalars(node: yaml.Node) -> Iterator[yaml.ScalarNode]:
    """All texts in a node, keys included."""
    if isinstance(node, yaml.ScalarNode):
        yield node
    for _, part in _parts(node):
        yield from _scalars(part)


def _refuse_doubles(node: yaml.MappingNode, place: str) -> None:
    first: dict[str, int] = {}
    for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode)):
        line = key.start_mark.line + 1
        if key.value in first:
            raise ConfigError(f"{place}:{line}: `{key.value}` is set twice, first on line {first[key.value]}")
        first[key.value] = line


def override(settings: Settings, assignments: Sequence[str]) -> Settings:
    """Apply `a.b.c=value` assignments (values are YAML) on top of a file's data."""
    data = _copy(settings.data)
    for assignment in assignments:
        path, equals, text = assignment.partition("=")
        if not equals or not path:
            raise ConfigError(f"--set {assignment}: expected KEY=VALUE, such as stages.pretrain.steps=50")
        try:
            value = parse_value(text)
        except ConfigError as error:
            raise ConfigError(f"--set {assignment}: {error}") from None
        place = data
        *parents, last = path.split(".")
        for number, name in enumerate(parents, 1):
            if place.get(name) is None:
                place[name] = {}
            place = place[name]
            if not isinstance(place, dict):
                group = ".".join(parents[:number])
                raise ConfigError(
                    f"--set {assignment}: `{name}` is {as_yaml(place)}, not a group of keys; to replace it by a group: "
                    f"--set '{group}={{key: value, …}}'"
                )
        place[last] = value
    return Settings(data, settings.file, settings.lines)


def parse_value(text: str) -> Any:
    """The value that a text of YAML is. Raises ConfigError, with the reason alone, where it is none."""
    try:
        return _parse(text, "", {})
    except ConfigError as error:
        raise ConfigError(str(error).partition(": ")[2]) from None  # without `:line`


def as_yaml(value: Any) -> str:
    """A value as YAML reads it, on one line where it can be: JSON's 1e-05 would be a text there. A path is a text."""
    plain = str(value) if isinstance(value, Path) else value
    text = yaml.safe_dump(plain, default_flow_style=True, allow_unicode=True, sort_keys=False, width=1 << 30)
    return text.removesuffix("...\n").rstrip("\n")


def merge(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with `changes` laid over it, group by group."""
    merged = _copy(base)
    for key, value in changes.items():
        both_groups = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
        merged[key] = merge(merged[key], value) if both_groups else value
    return merged


def _copy(data: Mapping[str, Any]) -> dict[str, Any]:
    return {key: _copy(value) if isinstance(value, Mapping) else value for key, value in data.items()}
