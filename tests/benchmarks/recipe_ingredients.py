"""The ingredients of the recipe, alone and with the others, that `tests.benchmarks.time_to_loss` compares."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from unittest import mock

from kepipe.models.families import FAMILIES
from kepipe.models.protocols import ParameterGroup, TrainableModel

MASK_15, MASK_40 = ({"objective": {"name": "mlm", "mlm_probability": share}} for share in (0.15, 0.4))
HEADS = {"optimizer": "adamw", **MASK_15}
PLAIN = {**HEADS, "base": {"init": "normal"}}
MODERN = {"family": "modernbert"}
GATED = {"feedforward": 704}  # with a gate, about as many weights as 1,024 without
DEFAULT = "positional heads, muon, mask 30%: the default"
BUDGET_OF = "budget_of"
"""The key of an ingredient that trains by `budget` instead of `steps`, for the wall time of the one it names."""
INGREDIENTS: dict[str, dict[str, Any]] = {
    "adamw, first weights normal, rate 5e-4": PLAIN,
    "rate 1e-3": {**PLAIN, "learning_rate": 1e-3},
    "rate 3e-3": {**PLAIN, "learning_rate": 3e-3},
    "rate 1e-3, mask 30%": {"optimizer": "adamw", "base": {"init": "normal"}, "learning_rate": 1e-3},
    "rate 1e-3, cosine schedule": {**PLAIN, "learning_rate": 1e-3, "schedule": "cosine"},
    "rate 1e-3, budget of time": {**PLAIN, "learning_rate": 1e-3, BUDGET_OF: "rate 1e-3"},
    "rate 1e-3, batch ramp": {**PLAIN, "learning_rate": 1e-3, "accumulate": 4, "batch_ramp": 0.5},
    "rate 1e-3, pre-norm": {**PLAIN, "learning_rate": 1e-3, "base": {"init": "normal", "norm": "pre"}},
    "rate 1e-3, GEGLU": {
        **PLAIN,
        "learning_rate": 1e-3,
        "base": {"init": "normal", **GATED},
        "parts": {"gated": True},
    },
    "rate 1e-3, no biases": {**PLAIN, "learning_rate": 1e-3, "parts": {"bias": False}},
    "rate 1e-3, decay of norms and biases": {**PLAIN, "learning_rate": 1e-3, "decay_all": True},
    "rate 1e-3, modernbert": {**PLAIN, "learning_rate": 1e-3, "base": MODERN},
    "muon": {"base": {"init": "normal"}, **MASK_15},
    "positional heads, rate 1e-3": {**HEADS, "learning_rate": 1e-3},
    "positional heads, rate 3e-3": {**HEADS, "learning_rate": 3e-3},
    "positional heads, muon": MASK_15,
    DEFAULT: {},
    "default, mask 40%": MASK_40,
    "default, cosine schedule": {"schedule": "cosine"},
    "default, wsd schedule": {"schedule": "wsd"},
    "default, budget of time": {BUDGET_OF: DEFAULT},
    "default, batch ramp": {"accumulate": 4, "batch_ramp": 0.5},
    "default, pre-norm": {"base": {"norm": "pre"}},
    "default, GEGLU": {"base": GATED, "parts": {"gated": True}},
    "default, no biases": {"parts": {"bias": False}},
    "default, decay of norms and biases": {"decay_all": True},
    "default, modernbert": {"base": MODERN},
}
"""Name → settings of `pretrain`, and of `changed_model`: `parts`, `decay_all`. All train on the same number of tokens,
except those with a batch ramp and those with a budget of time."""


@contextmanager
def changed_model(parts: Mapping[str, Any], decay_all: bool) -> Iterator[None]:
    """Within it, fresh BERTs have other parts, and weight decay applies to norms and biases as well if `decay_all`:
    choices that no setting offers."""

    def all_decay(model: TrainableModel) -> list[ParameterGroup]:
        return [
            ParameterGroup([weight for weight in model.parameters() if weight.requires_grad], decays=True)
        ]

    bert = replace(FAMILIES["bert"], parts={**FAMILIES["bert"].parts, **parts})
    groups = all_decay if decay_all else TrainableModel.parameter_groups
    with (
        mock.patch.dict(FAMILIES, bert=bert),  # type: ignore[arg-type]
        mock.patch.object(TrainableModel, "parameter_groups", groups),
    ):
        yield
