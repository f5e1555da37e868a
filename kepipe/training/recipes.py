"""Recipes: settings of a training by one word, beneath those that are written out."""

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
            f"there are no published settings of {name} to be followed here, only of {known}: leave `recipe` out"
        )
    return {"optimizer": "adamw", **family.published, "base": {"init": "normal"}}


RECIPES: Mapping[str, Callable[[str, Family], Mapping[str, Any]]] = {
    "default": _default,
    "published": _published,
}
"""Name → the settings of a fresh model of a family that differ from the defaults."""

if TYPE_CHECKING:
    RecipeName = str
else:
    RecipeName = Literal[tuple(RECIPES)]
    """The name of a recipe, as the type of a config's field."""


def settings_of(recipe: object, family: object) -> Mapping[str, Any]:
    """What a recipe sets for a fresh model of a family; nothing for what is no name of one, which is told where it is
    read. Raises ValueError where a recipe has nothing for the family."""
    if not isinstance(recipe, str) or not isinstance(family, str):
        return {}
    if recipe not in RECIPES or family not in FAMILIES:
        return {}
    return RECIPES[recipe](family, FAMILIES[family])
