"""Recipes: named sets of training settings, overridden by settings that are given explicitly."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal

from kepipe.models.any_base import TRAINED, TrainedFamily
from kepipe.models.families import FAMILIES, Family

_FAMILIES: Mapping[str, Family | TrainedFamily] = {**FAMILIES, **TRAINED}


def _default(_name: str, family: Family | TrainedFamily) -> Mapping[str, Any]:
    return family.recipe if isinstance(family, Family) else {}


def _published(name: str, family: Family | TrainedFamily) -> Mapping[str, Any]:
    settings = family.published
    if isinstance(settings, str):
        known = ", ".join(other for other, row in _FAMILIES.items() if not isinstance(row.published, str))
        raise ValueError(
            f"there are no usable published settings of {name}: {settings}. Remove `recipe`; there are of {known}"
        )
    as_published = {"base": {"init": "normal"}} if isinstance(family, Family) else {}
    return {"optimizer": "adamw", **settings, **as_published}


RECIPES: Mapping[str, Callable[[str, Family | TrainedFamily], Mapping[str, Any]]] = {
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
    if recipe not in RECIPES or family not in _FAMILIES:
        return {}
    return RECIPES[recipe](family, _FAMILIES[family])
