"""Plain data → a frozen section. An error names file, line, key, and the nearest key there is."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeVar, get_args, get_origin

from pydantic import BaseModel, ValidationError

from kepipe.config.errors import ConfigError, suggest
from kepipe.config.section import Section
from kepipe.config.yaml_file import Key, Settings

S = TypeVar("S", bound=BaseModel)


def validate(model: type[S], data: Any, settings: Settings, at: Key = ()) -> S:
    """`data`, which stands at key `at` of the file, as a frozen `model`. Raises ConfigError listing every problem."""
    try:
        return model.model_validate(data, context={"folder": settings.file.parent})
    except ValidationError as error:
        problems = [_explain(problem, model, data, settings, at) for problem in error.errors()]
        raise ConfigError("\n".join(problems)) from None


def _explain(problem: Any, model: type[BaseModel], data: Any, settings: Settings, at: Key) -> str:
    location, sections = _written(model, data, tuple(problem["loc"]))
    where, name = settings.where((*at, *location)), ".".join(str(part) for part in (*at, *location))
    if problem["type"] == "extra_forbidden":
        key = str(location[-1])
        if advice := _renamed_keys(sections).get(key):
            return (
                f"{where}: `{name}`{f' is now called `{advice}`' if advice.isidentifier() else f': {advice}'}"
            )
        return f"{where}: unknown key `{name}`{suggest(key, _known_keys(sections))}"
    if problem["type"] == "missing":
        return f"{where}: `{name}` is required"
    message, value = _expected(problem), problem["input"]
    instead = "" if repr(value) in message else f", found {value!r}"
    return f"{where}: `{name}`: {message}{instead}{_hint(problem)}"


_KINDS = {
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "string": "text",
    "dict": "settings (`key: value`)",
    "model": "settings (`key: value`)",
    "list": "a list",
    "tuple": "a list",
}
"""First word of pydantic's type of an error → what was expected, in YAML's terms."""
_BOUNDS = {
    "greater_than": ("above", "gt"),
    "greater_than_equal": ("from", "ge"),
    "less_than": ("below", "lt"),
    "less_than_equal": ("up to", "le"),
}


def _expected(problem: Any) -> str:
    """What was expected of a value, in the words of who writes YAML."""
    kind, context = problem["type"], problem.get("ctx", {})
    if kind in _BOUNDS:
        words, limit = _BOUNDS[kind]
        return f"expected a number {words} {context[limit]:g}"
    if kind == "finite_number":
        return "expected a finite number"
    if kind == "literal_error":
        return f"expected {context['expected']}"
    if kind == "string_pattern_mismatch":
        return f"expected text that fits {context['pattern']}"
    expected = _KINDS.get(kind.partition("_")[0])
    if expected and kind.endswith(("_type", "_parsing")):
        return f"expected {expected}"
    return str(problem["msg"]).removeprefix("Value error, ")


def _hint(problem: Any) -> str:
    """The nearest word, where one of several was expected; the message lists them already."""
    if problem["type"] != "literal_error" or not isinstance(problem["input"], str):
        return ""
    known = re.findall(r"'([^']*)'", problem["ctx"]["expected"])
    return suggest(problem["input"], known) if difflib.get_close_matches(problem["input"], known) else ""


def _written(model: type[BaseModel], data: Any, location: Key) -> tuple[Key, list[type[BaseModel]]]:
    """The key of `data` at a location of pydantic's, which names the member of a union, and the element of a list, also
    where the file does not; and what the section that holds it may be, found by walking the model's fields through
    unions and optionals."""
    key: list[str | int] = []
    sections: list[type[BaseModel]] = []
    candidates = [model]
    for part in location:
        chosen = _chosen(candidates, data)
        if isinstance(data, Mapping) and part not in data and any(part in _tags(c) for c in chosen):
            continue
        if isinstance(part, int) and not isinstance(data, list | tuple):
            continue
        key.append(part)
        sections = chosen
        inner = [
            section
            for candidate in chosen
            if part in candidate.model_fields
            for section in _sections(candidate.model_fields[str(part)].annotation)
        ]
        candidates = inner or chosen
        data = _part(data, part)
    return tuple(key), sections


def _chosen(sections: list[type[BaseModel]], data: Any) -> list[type[BaseModel]]:
    """Those of several kinds of sections that `data` names by a word that no two kinds share, such as its family; the
    first where it leaves the word out."""
    if len(sections) < 2 or not isinstance(data, Mapping):
        return sections
    for name in sections[0].model_fields:
        words = [_words(section, name) for section in sections]
        if all(words) and len(set[Any]().union(*words)) == sum(len(each) for each in words):
            if name not in data:
                return sections[:1]
            return [s for s, own in zip(sections, words, strict=True) if data[name] in own] or sections
    return sections


def _words(section: type[BaseModel], name: str) -> tuple[Any, ...]:
    """What a field may be, where that is one of some words."""
    annotation = section.model_fields[name].annotation if name in section.model_fields else None
    return get_args(annotation) if get_origin(annotation) is Literal else ()


def _part(data: Any, part: str | int) -> Any:
    """What stands in plain data at a key; None where it holds no such key."""
    if isinstance(data, Mapping):
        return data.get(part)
    return data[part] if isinstance(part, int) and isinstance(data, list | tuple) else None


def _known_keys(sections: Sequence[type[BaseModel]]) -> list[str]:
    """Keys of all these sections."""
    fields = [pair for section in sections for pair in section.model_fields.items()]
    return sorted({info.alias or name for name, info in fields})


def _renamed_keys(sections: Sequence[type[BaseModel]]) -> dict[str, str]:
    """What these sections and their bases say of keys of earlier versions."""
    bases = [base for section in sections for base in reversed(section.__mro__) if issubclass(base, Section)]
    return {old: advice for base in bases for old, advice in base.renamed.items()}


def _sections(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [section for argument in getattr(annotation, "__args__", ()) for section in _sections(argument)]


def _tags(model: type[BaseModel]) -> set[Any]:
    """Values by which a member of a discriminated union is chosen (its Literal defaults)."""
    return {info.default for info in model.model_fields.values() if isinstance(info.default, str)}
