"""A tiny model of each family with published settings is trained with them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from kepipe.flow.events import Metrics
from kepipe.stages.artifacts import Shards
from kepipe.stages.pretrain import PRETRAIN, PretrainConfig, PretrainInputs
from tests.support.pretraining import SMALL, TINY
from tests.support.stages import run_stage

TRAINED: dict[str, tuple[str, dict[str, Any]]] = {
    "bert": ("mlm", TINY),
    "roberta": ("mlm", TINY),
    "modernbert": ("mlm", TINY),
    "gpt2": ("causal-lm", TINY),
    "t5": ("span-corruption", TINY),
    "t5-v1.1": ("span-corruption", TINY),
    "xlnet": ("permutation-lm", TINY),
    "transformer-xl": ("causal-lm", TINY),
    "elmo": ("bidirectional-lm", {"layers": 1, "cell": 32, "projection": 16}),
}


@pytest.mark.parametrize("family", TRAINED)
def test_training_with_the_published_settings_runs(shards: Shards, tmp_path: Path, family: str) -> None:
    objective, sizes = TRAINED[family]
    settings = {"base": {"family": family, **sizes}, "objective": objective, "recipe": "published"}
    config = PretrainConfig.model_validate(SMALL | settings | {"steps": 20, "eval_every": 20, "log_every": 1})
    events = run_stage(PRETRAIN, PretrainInputs(shards), config, tmp_path)
    logged = [(e.step, dict(e.values)) for e in events if isinstance(e, Metrics)]
    losses = [values["held_out_loss"] for _, values in logged if "held_out_loss" in values]
    rates = [values["learning_rate"] for _, values in logged if "learning_rate" in values]
    assert losses[-1] < losses[0] + 0.1, "their rates are for long trainings: little is learned, nothing lost"
    assert max(rates) == config.learning_rate
