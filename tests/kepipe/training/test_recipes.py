"""Recipes: named defaults, overridden by explicit settings."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from kepipe.models.any_base import TRAINED
from kepipe.models.base import Base
from kepipe.models.families import FAMILIES
from kepipe.objectives.mlm import MLM
from kepipe.stages.pretrain import PretrainConfig
from kepipe.training.recipes import RECIPES
from kepipe.training.settings import TrainingSettings


def config(**values: Any) -> PretrainConfig:
    return PretrainConfig.model_validate(values)


ADAM = {
    "optimizer": "adamw",
    "schedule": "linear",
    "betas": (0.9, 0.999),
    "epsilon": 1e-6,
    "weight_decay": 0.01,
}
T5 = {
    "optimizer": "adafactor", "learning_rate": 0.01, "warmup": 10_000 / 524_288, "schedule": "flat-inverse-sqrt",
    "weight_decay": 0, "max_grad_norm": 0,
}  # fmt: skip
PAPERS: dict[str, dict[str, Any] | str] = {
    "bert": {**ADAM, "learning_rate": 1e-4, "warmup": 10_000 / 1_000_000, "max_grad_norm": 1},
    "roberta": {**ADAM, "learning_rate": 6e-4, "warmup": 24_000 / 500_000, "betas": (0.9, 0.98), "max_grad_norm": 0},
    "modernbert": {
        "learning_rate": 8e-4, "warmup": 0.002, "schedule": "wsd", "betas": (0.9, 0.98), "epsilon": 1e-6,
        "weight_decay": 1e-5,
    },
    "gpt2": {
        "learning_rate": 6e-4, "warmup": 375 / 300_000, "schedule": "cosine", "betas": (0.9, 0.95), "epsilon": 1e-8,
        "weight_decay": 0.1, "max_grad_norm": 1,
    },
    "t5": T5,
    "t5-v1.1": T5,
    "xlnet": {**ADAM, "learning_rate": 4e-4, "warmup": 40_000 / 500_000, "max_grad_norm": 0.25},
    "transformer-xl": {
        **ADAM, "learning_rate": 2.5e-4, "warmup": 0, "schedule": "cosine", "epsilon": 1e-8, "weight_decay": 0,
        "max_grad_norm": 0.25,
    },
    "elmo": {
        "optimizer": "adagrad", "learning_rate": 0.2, "warmup": 0, "schedule": "constant", "weight_decay": 0,
        "max_grad_norm": 10 / 20,
    },
    "bart": r"settings of bart: the paper .*no learning rate.*remove `recipe`; there are of bert, roberta, .*elmo",
    "nnlm": "settings of nnlm: the paper .*plain gradient descent after each word",
    "lstm": "settings of lstm: it is no model of one paper",
    "cnn": "settings of cnn: the paper .*trains a classifier",
}  # fmt: skip
"""Family → the figures of its paper, or the reason why none are used."""


@pytest.mark.parametrize("family", [*FAMILIES, *TRAINED])
def test_recipe_published_sets_the_figures_of_the_paper(family: str) -> None:
    paper = PAPERS[family]
    if isinstance(paper, str):
        with pytest.raises(ValidationError, match=f"(?i){paper}"):
            config(base={"family": family}, recipe="published")
        return
    followed = config(base={"family": family}, recipe="published")
    assert {name: getattr(followed, name) for name in paper} == paper
    if isinstance(followed.base, Base):
        assert followed.base.init == "normal"
    else:
        assert config(base=followed.base, recipe="published").optimizer == followed.optimizer
    mine = config(base={"family": family}, recipe="published", learning_rate=0.02, optimizer="adamw", steps=7)
    assert (mine.learning_rate, mine.optimizer, mine.steps) == (0.02, "adamw", 7)


@pytest.mark.parametrize("family", [*FAMILIES, *TRAINED])
def test_recipe_default_sets_defaults_and_explicit_settings_win(family: str) -> None:
    expected = FAMILIES[family].recipe if family in FAMILIES else {}
    followed, default = config(base={"family": family}), TrainingSettings()
    for name in TrainingSettings.model_fields:
        assert getattr(followed, name) == expected.get(name, getattr(default, name))
    mine = config(base={"family": family}, learning_rate=0.02, optimizer="adamw", steps=7)
    assert (mine.learning_rate, mine.optimizer, mine.steps) == (0.02, "adamw", 7)


def test_recipe_learning_rate_applies_only_to_its_optimizer() -> None:
    other = config(optimizer="adamw")
    assert (other.optimizer, other.learning_rate) == ("adamw", TrainingSettings().learning_rate)
    assert config(optimizer="muon").learning_rate == 3e-3
    assert config(recipe="published", optimizer="muon").learning_rate == TrainingSettings().learning_rate


@pytest.mark.parametrize("family", ["bert", "roberta", "modernbert"])
def test_default_recipe_masks_30_percent(family: str) -> None:
    base = {"family": family}

    def share(config: PretrainConfig) -> float:
        return config.objective.model_dump()["mlm_probability"]  # type: ignore[no-any-return]

    for objective in (
        {},
        {"objective": "mlm"},
        {"objective": MLM()},
        {"objective": {"name": "mlm", "level": "word"}},
    ):
        assert share(config(base=base, **objective)) == 0.3
        assert share(config(base=base, **objective).without_recipe()) == 0.15
    written = config(base=base, objective={"name": "mlm", "mlm_probability": 0.2, "level": "word"})
    for settings in (written, written.without_recipe(), config(base=base, objective=written.objective)):
        assert settings.objective == MLM(mlm_probability=0.2, level="word")
    for other in ("span-masking", "unilm"):
        assert share(config(base=base, objective=other)) == 0.15
    assert share(config(base={"from": "minilm"})) == 0.15
    published = share(config(base=base, recipe="published"))
    assert published == (0.3 if family == "modernbert" else 0.15)


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
