"""Fact templates as a setting: a file, or inline in the YAML."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator, TypeAdapter, ValidationInfo

from kepipe.config import UserPath
from kg.templates import Template, read_templates


def _read(value: Any, info: ValidationInfo) -> Any:
    """The templates read from a file, so that their content is part of the stage's cache key and of the saved
    settings."""
    if isinstance(value, str):
        file = TypeAdapter(UserPath).validate_python(value, context=info.context)
        return {
            relation: [template.text for template in templates]
            for relation, templates in read_templates(file).items()
        }
    if isinstance(value, Mapping):
        value = {relation: [texts] if isinstance(texts, str) else texts for relation, texts in value.items()}
        for text in (text for texts in value.values() if isinstance(texts, list | tuple) for text in texts):
            Template(str(text))
    return value


FactTemplates = Annotated[Mapping[str, tuple[str, ...]], BeforeValidator(_read)]
"""Relation → its templates (see `kg.templates`): a table `relation TAB template`, or a mapping in the YAML."""
