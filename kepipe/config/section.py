"""A section: a frozen, typed group of settings, some of which are no part of a stage's key."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Annotated, Any, ClassVar, Literal, get_args, get_origin

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema

from kepipe.config.descriptions import field_descriptions


class Section(BaseModel):
    """A frozen group of settings. Unknown keys are errors; a docstring under a field describes it."""

    renamed: ClassVar[Mapping[str, str]] = {}
    """Key of an earlier version → its name now, or a sentence that says what to write; subclasses add to it."""

    shorthand: ClassVar[Mapping[str, str]] = {}
    """Key whose settings a name alone may stand for → the key of that name among them; subclasses add to it."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        protected_namespaces=(),
        allow_inf_nan=False,
    )

    def as_yaml(self) -> dict[str, Any]:
        """Every setting with its value, as a file that says the same has it."""
        written = self.model_dump(mode="json", by_alias=True, context={"yaml": True})
        for name, info in type(self).model_fields.items():
            key, value = info.alias or name, getattr(self, name)
            if name in self.not_written():
                del written[key]
            elif isinstance(value, Section):
                written[key] = value.as_yaml()
            elif isinstance(value, tuple | list) and value and all(isinstance(one, Section) for one in value):
                listed = [one.as_yaml() for one in value]
                written[key] = listed[0] if key in self.shorthand and len(listed) == 1 else listed
        return written

    def not_written(self) -> Collection[str]:
        """Fields that mean nothing beside the others' values, and that a file may not name with them."""
        return ()

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        for info in cls.__pydantic_fields__.values():
            takes = _leaves(info.annotation)
            if takes & {int, float} and bool not in takes and _NO_FLAG not in info.metadata:
                info.metadata.append(_NO_FLAG)
        return handler(source)

    @classmethod
    def __get_pydantic_json_schema__(
        cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        schema = handler(core_schema)
        properties = handler.resolve_ref_schema(schema).get("properties", {})
        descriptions = field_descriptions(cls)
        for name, info in cls.model_fields.items():
            if name in descriptions and (info.alias or name) in properties:
                properties[info.alias or name].setdefault("description", descriptions[name])
        return schema


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
        if isinstance(value, BaseModel):
            part[name] = cache_key_fields(value)
        elif isinstance(value, tuple) and value and all(isinstance(one, BaseModel) for one in value):
            part[name] = [cache_key_fields(one) for one in value]
        else:
            part[name] = config.model_dump(mode="json")[name]
    return part
