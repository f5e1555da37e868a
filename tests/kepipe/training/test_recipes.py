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
    expected = {"default": row.recipe, "published": row.published}[recipe]
    if recipe != "default" and not expected:
        with pytest.raises(ValidationError, match=rf"(settings of|recipe for) {family}"):
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
    assert (config().optimizer, config().learning_rate, published.optimizer) == ("muon", 3e-3, "adamw")


def test_a_rate_is_made_for_its_optimizer() -> None:
    other = config(optimizer="adamw")
    assert (other.optimizer, other.learning_rate) == ("adamw", TrainingSettings().learning_rate)
    assert config(optimizer="muon").learning_rate == 3e-3
    assert config(recipe="published", optimizer="muon").learning_rate == TrainingSettings().learning_rate


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


@pytest.mark.parametrize("recipe", [["default"], "publishd", "bert"])
def test_a_recipe_that_is_none_is_told_of_also_where_a_family_has_its_name(recipe: Any) -> None:
    with pytest.raises(ValidationError, match="'default' or 'published'"):
        config(recipe=recipe)


def test_a_family_that_has_the_name_of_a_recipe_is_none() -> None:
    with pytest.raises(ValidationError, match="unknown family 'default'"):
        config(base={"family": "default"})
