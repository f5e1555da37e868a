"""Recipes: named defaults, overridden by explicit settings."""

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
def test_recipe_sets_defaults_and_explicit_settings_win(family: str, recipe: str) -> None:
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


def test_recipe_published_sets_bert_settings() -> None:
    published = config(recipe="published")
    assert (published.learning_rate, published.warmup, published.betas) == (1e-4, 0.01, (0.9, 0.999))
    assert (config().optimizer, config().learning_rate, published.optimizer) == ("muon", 3e-3, "adamw")


def test_recipe_learning_rate_applies_only_to_its_optimizer() -> None:
    other = config(optimizer="adamw")
    assert (other.optimizer, other.learning_rate) == ("adamw", TrainingSettings().learning_rate)
    assert config(optimizer="muon").learning_rate == 3e-3
    assert config(recipe="published", optimizer="muon").learning_rate == TrainingSettings().learning_rate


def test_recipe_does_not_apply_to_a_trained_base() -> None:
    default = TrainingSettings()
    for base in ({"from": "minilm"}, Base.model_validate({"from": "minilm"})):
        for recipe in RECIPES:
            trained = config(base=base, recipe=recipe)
            assert (trained.optimizer, trained.learning_rate) == (default.optimizer, default.learning_rate)


@pytest.mark.parametrize("base", [5, "bert", {"family": ["bert"]}, {"family": "berd"}])
def test_invalid_base_is_rejected(base: Any) -> None:
    with pytest.raises(ValidationError, match="base"):
        config(base=base)


@pytest.mark.parametrize("recipe", [["default"], "publishd", "bert"])
def test_unknown_recipe_is_rejected_even_if_it_names_a_family(recipe: Any) -> None:
    with pytest.raises(ValidationError, match="'default' or 'published'"):
        config(recipe=recipe)


def test_recipe_name_is_no_family() -> None:
    with pytest.raises(ValidationError, match="unknown family 'default'"):
        config(base={"family": "default"})
