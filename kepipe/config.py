"""YAML → frozen typed config. An error names file, line, key, and the nearest key there is."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, TypeVar, get_args, get_origin

import yaml
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    ValidationError,
    ValidationInfo,
    WithJsonSchema,
)
from pydantic_core import CoreSchema

Key = tuple[str | int, ...]


class Section(BaseModel):
    """A frozen group of settings. Unknown keys are errors; a docstring under a field describes it."""

    renamed: ClassVar[Mapping[str, str]] = {}
    """Key of an earlier version → its name now, or a sentence that says what to write; subclasses add to it."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        use_attribute_docstrings=True,
        protected_namespaces=(),
        allow_inf_nan=False,
    )

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        for info in cls.__pydantic_fields__.values():
            takes = _leaves(info.annotation)
            if takes & {int, float} and bool not in takes and _NO_FLAG not in info.metadata:
                info.metadata.append(_NO_FLAG)
        return handler(source)


def _refuse_flags(value: Any) -> Any:
    """Python counts `True` as 1, and YAML reads `on` and `yes` as true."""
    if any(isinstance(one, bool) for one in (value if isinstance(value, list | tuple) else [value])):
        raise ValueError("expected a number")
    return value


_NO_FLAG = BeforeValidator(_refuse_flags)


def _leaves(annotation: Any) -> set[Any]:
    """The types that an annotation is made of."""
    origin, inner = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return {type(word) for word in inner}
    if origin is Annotated:
        return _leaves(inner[0])
    return {leaf for part in inner for leaf in _leaves(part)} if inner else {annotation}


def runtime_only(default: Any, **constraints: Any) -> Any:
    """A field that does not change the result (a number of workers, where a file lies): no part of a stage's key."""
    return Field(default, json_schema_extra={"in_key": False}, **constraints)


def cache_key_fields(config: BaseModel) -> dict[str, Any]:
    """The settings that decide a result, as plain JSON data: all fields but those set `runtime_only`."""
    part: dict[str, Any] = {}
    for name, info in type(config).model_fields.items():
        extra = info.json_schema_extra
        if isinstance(extra, dict) and extra.get("in_key") is False:
            continue
        value = getattr(config, name)
        part[name] = (
            cache_key_fields(value) if isinstance(value, BaseModel) else config.model_dump(mode="json")[name]
        )
    return part


def _locate(value: Any, info: ValidationInfo) -> Any:
    if not isinstance(value, str | Path):
        return value
    text = os.path.expandvars(str(value))
    if "$" in text:
        raise ValueError(f"{text} names an environment variable that is not set")
    path = (_folder(info) / Path(text).expanduser()).resolve()
    if not path.exists():
        raise ValueError(f"no such file or folder: {path}")
    return path


UserPath = Annotated[Path, BeforeValidator(_locate)]
"""A file or folder of the user's that must exist; `~` and `$VARIABLES` are expanded, and a relative path starts at
the folder of the YAML file."""


def _locate_or_name(value: Any, info: ValidationInfo) -> Any:
    if not isinstance(value, str | Path):
        return value
    text = str(value)
    is_path = text.startswith((".", "/", "~", "$")) or (_folder(info) / text).exists()
    return str(_locate(text, info)) if is_path else text


def _folder(info: ValidationInfo) -> Path:
    """Where relative paths start: the folder of the YAML file."""
    folder: Path = (info.context or {}).get("folder", Path())
    return folder


UserSource = Annotated[str, BeforeValidator(_locate_or_name)]
"""A name that kepipe knows (`minilm`), a hub id, or a `UserPath`: what begins with `.`, `/`, `~` or `$`, or lies in the
folder of the YAML file."""


def _locate_each(value: Any, info: ValidationInfo) -> Any:
    return tuple(_locate(item, info) for item in (value if isinstance(value, list | tuple) else [value]))


_ONE_OR_SEVERAL = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}
UserPaths = Annotated[tuple[Path, ...], BeforeValidator(_locate_each), WithJsonSchema(_ONE_OR_SEVERAL)]
"""One such path, or a list of them."""


class ConfigError(ValueError):
    """The user's settings cannot be used; the message says where and what to do."""


class ConfigConflict(ValueError):
    """Settings that are right by themselves and do not go together. `key`: where to look, with dots, from the stage's
    own settings on; the message says what to set."""

    def __init__(self, key: str, message: str) -> None:
        super().__init__(key, message)  # both, so that it can be told from one process to another
        self.key, self.message = key, message

    def __str__(self) -> str:
        return self.message


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
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError(f"{file}: no such file") from None
    except (IsADirectoryError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file}: not a UTF-8 text file ({error})") from None
    loader = yaml.SafeLoader(text)
    try:
        root = loader.get_single_node()
        lines: dict[Key, int] = {(): 1}
        data = _construct(loader, root, (), lines, file) if root is not None else {}
    except yaml.MarkedYAMLError as error:
        line, problem = _in_words(error)
        raise ConfigError(f"{file}:{line}: not valid YAML: {problem}") from None
    finally:
        loader.dispose()
    if not isinstance(data, dict):
        raise ConfigError(f"{file}:1: expected `key: value` lines, found {type(data).__name__}")
    return Settings(data, file, lines)


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


def _construct(loader: yaml.SafeLoader, node: yaml.Node, at: Key, lines: dict[Key, int], file: Path) -> Any:
    if isinstance(node, yaml.MappingNode) and node.tag == "tag:yaml.org,2002:map":
        _refuse_doubles(node, file)
        loader.flatten_mapping(node)  # `<<: *base` comes first, so that what stands beside it overrides it
        made: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = str(loader.construct_object(key_node))
            lines[(*at, key)] = key_node.start_mark.line + 1
            made[key] = _construct(loader, value_node, (*at, key), lines, file)
        return made
    if isinstance(node, yaml.SequenceNode) and node.tag == "tag:yaml.org,2002:seq":
        items = []
        for index, item in enumerate(node.value):
            lines[(*at, index)] = item.start_mark.line + 1
            items.append(_construct(loader, item, (*at, index), lines, file))
        return items
    return loader.construct_object(node)


def _refuse_doubles(node: yaml.MappingNode, file: Path) -> None:
    first: dict[str, int] = {}
    for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode)):
        line = key.start_mark.line + 1
        if key.value in first:
            raise ConfigError(f"{file}:{line}: `{key.value}` is set twice, first on line {first[key.value]}")
        first[key.value] = line


def override(settings: Settings, assignments: Sequence[str]) -> Settings:
    """Apply `a.b.c=value` assignments (values are YAML) on top of a file's data."""
    data = _copy(settings.data)
    for assignment in assignments:
        path, equals, text = assignment.partition("=")
        if not equals or not path:
            raise ConfigError(f"--set {assignment}: expected KEY=VALUE, such as stages.pretrain.steps=50")
        try:
            value = yaml.safe_load(text)
        except yaml.YAMLError:
            raise ConfigError(f"--set {assignment}: {text!r} is not a YAML value") from None
        place = data
        *parents, last = path.split(".")
        for name in parents:
            if place.get(name) is None:
                place[name] = {}
            place = place[name]
            if not isinstance(place, dict):
                raise ConfigError(f"--set {assignment}: `{name}` holds a value, not a group of keys")
        place[last] = value
    return Settings(data, settings.file, settings.lines)


def merge(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """`base` with `changes` laid over it, group by group."""
    merged = _copy(base)
    for key, value in changes.items():
        both_groups = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
        merged[key] = merge(merged[key], value) if both_groups else value
    return merged


def _copy(data: Mapping[str, Any]) -> dict[str, Any]:
    return {key: _copy(value) if isinstance(value, Mapping) else value for key, value in data.items()}


S = TypeVar("S", bound=BaseModel)


def validate(model: type[S], data: Any, settings: Settings, at: Key = ()) -> S:
    """`data`, which stands at key `at` of the file, as a frozen `model`. Raises ConfigError listing every problem."""
    try:
        return model.model_validate(data, context={"folder": settings.file.parent})
    except ValidationError as error:
        problems = [_explain(problem, model, settings, at) for problem in error.errors()]
        raise ConfigError("\n".join(problems)) from None


def _explain(problem: Any, model: type[BaseModel], settings: Settings, at: Key) -> str:
    location: Key = tuple(problem["loc"])
    where, name = settings.where((*at, *location)), ".".join(str(part) for part in (*at, *location))
    if problem["type"] == "extra_forbidden":
        key, sections = str(location[-1]), _sections_at(model, location[:-1])
        if advice := _renamed_keys(sections).get(key):
            return (
                f"{where}: `{name}`{f' is now called `{advice}`' if advice.isidentifier() else f': {advice}'}"
            )
        return f"{where}: unknown key `{name}`{suggest(key, _known_keys(sections))}"
    if problem["type"] == "missing":
        return f"{where}: `{name}` is required"
    message, found = _expected(problem), problem["input"]
    shown = "" if repr(found) in message else f", found {found!r}"
    return f"{where}: `{name}`: {message}{shown}{_hint(problem)}"


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
    kind, told = problem["type"], problem.get("ctx", {})
    if kind in _BOUNDS:
        words, limit = _BOUNDS[kind]
        return f"expected a number {words} {told[limit]:g}"
    if kind == "finite_number":
        return "expected a finite number"
    if kind == "literal_error":
        return f"expected {told['expected']}"
    if kind == "string_pattern_mismatch":
        return f"expected text that fits {told['pattern']}"
    wanted = _KINDS.get(kind.partition("_")[0])
    if wanted and kind.endswith(("_type", "_parsing")):
        return f"expected {wanted}"
    return str(problem["msg"]).removeprefix("Value error, ")


def _hint(problem: Any) -> str:
    """The nearest word, where one of several was expected; the message lists them already."""
    if problem["type"] != "literal_error" or not isinstance(problem["input"], str):
        return ""
    known = re.findall(r"'([^']*)'", problem["ctx"]["expected"])
    return suggest(problem["input"], known) if difflib.get_close_matches(problem["input"], known) else ""


def suggest(word: str, known: Sequence[str]) -> str:
    """A hint to append to an error: the closest known word, or the list of them."""
    close = difflib.get_close_matches(word, known, n=1, cutoff=0.6)
    if close:
        return f"; did you mean `{close[0]}`?"
    return f"; known: {', '.join(sorted(known))}" if known else ""


def _sections_at(model: type[BaseModel], location: Key) -> list[type[BaseModel]]:
    """What the section at `location` may be, found by walking the model's fields through unions and optionals."""
    candidates: list[type[BaseModel]] = [model]
    for part in location:
        inner = [
            found
            for candidate in candidates
            if part in candidate.model_fields
            for found in _sections(candidate.model_fields[str(part)].annotation)
        ]
        tagged = [c for c in candidates if part in _tags(c)]
        candidates = inner or tagged or candidates
    return candidates


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
    return [found for argument in getattr(annotation, "__args__", ()) for found in _sections(argument)]


def _tags(model: type[BaseModel]) -> set[Any]:
    """Values by which a member of a discriminated union is chosen (its Literal defaults)."""
    return {info.default for info in model.model_fields.values() if isinstance(info.default, str)}
