"""Recipes: named sets of training settings, overridden by settings that are given explicitly."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal

from kepipe.models.families import FAMILIES, Family


def _default(_name: str, family: Family) -> Mapping[str, Any]:
    return family.recipe


def _published(name: str, family: Family) -> Mapping[str, Any]:
    if not family.published:
        known = ", ".join(other for other, row in FAMILIES.items() if row.published)
        raise ValueError(
            f"there are no usable published settings of {name}, only of {known}: remove `recipe`"
        )
    return {"optimizer": "adamw", **family.published, "base": {"init": "normal"}}


RECIPES: Mapping[str, Callable[[str, Family], Mapping[str, Any]]] = {
    "default": _default,
    "published": _published,
}
"""Name → (family name, family) → the settings of a fresh model that differ from the defaults."""

if TYPE_CHECKING:
    RecipeName = str
else:
    RecipeName = Literal[tuple(RECIPES)]
    """The name of a recipe, as the type of a config's field."""


def settings_of(recipe: object, family: object) -> Mapping[str, Any]:
    """The settings of a recipe for a fresh model of a family; {} for unknown names, which validation reports. Raises
    ValueError if the recipe has no settings for the family."""
    if not isinstance(recipe, str) or not isinstance(family, str):
        return {}
    if recipe not in RECIPES or family not in FAMILIES:
        return {}
    return RECIPES[recipe](family, FAMILIES[family])
