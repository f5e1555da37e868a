"""Recipes: settings by one word, beneath those that are written out."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from kepipe.models.base import Base
from kepipe.models.families import FAMILIES
from kepipe.stages.pretrain import PretrainConfig
from kepipe.training.recipes import RECIPES
from kepipe.training.settings import TrainingSettings


def config(**values: Any) -> PretrainConfig:
    return PretrainConfig.model_validate(values)


@pytest.mark.parametrize("recipe", RECIPES)
@pytest.mark.parametrize("family", FAMILIES)
def test_a_recipe_sets_what_is_not_written_out(family: str, recipe: str) -> None:
    row = FAMILIES[family]
    expected = {"fast": row.fast, "published": {"optimizer": "adamw", **row.published}}[recipe]
    if recipe == "published" and not row.published:
        with pytest.raises(ValidationError, match=f"no published settings of {family}"):
            config(base={"family": family}, recipe=recipe)
        return
    followed = config(base={"family": family}, recipe=recipe)
    default = TrainingSettings()
    for name in TrainingSettings.model_fields:
        assert getattr(followed, name) == expected.get(name, getattr(default, name))
    mine = config(base={"family": family}, recipe=recipe, learning_rate=0.02, optimizer="adamw", steps=7)
    assert (mine.learning_rate, mine.optimizer, mine.steps) == (0.02, "adamw", 7)


def test_berts_own_settings_are_one_word_away() -> None:
    published = config(recipe="published")
    assert (published.learning_rate, published.warmup, published.betas) == (1e-4, 0.01, (0.9, 0.999))
    assert config().optimizer == "muon", "the default is the fast one"


def test_a_trained_base_has_the_defaults_whatever_the_recipe() -> None:
    default = TrainingSettings()
    for base in ({"from": "minilm"}, Base.model_validate({"from": "minilm"})):
        for recipe in RECIPES:
            trained = config(base=base, recipe=recipe)
            assert (trained.optimizer, trained.learning_rate) == (default.optimizer, default.learning_rate)


@pytest.mark.parametrize("base", [5, "bert", {"family": ["bert"]}, {"family": "berd"}])
def test_a_base_that_is_none_is_told_of_as_ever(base: Any) -> None:
    with pytest.raises(ValidationError, match="base"):
        config(base=base)
    with pytest.raises(ValidationError, match="'fast' or 'published'"):
        config(recipe=["fast"])
