"""Default feature weights, for a linker without training data and as the prior mean in training."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Weights:
    """`of_feature`: feature name (`features.FEATURES`) → weight; all other features have weight 0."""

    of_feature: Mapping[str, float]
    bias: float
    threshold: float = 0.5


HAND_SET = Weights(
    {
        "tagged": -1.2, "capital": 1.5, "common": -2.0, "capital_common": -1.0, "article": -4.0,
        "short": -1.5, "digit": -2.0, "inside_longer": -2.0, "run_left": -1.2, "run_right": -0.5,
        "after_unknown": -1.0, "hyphen": -1.0, "phrase_right": -0.4, "phrase_cut": -1.5, "proper": 0.6,
        "proper_left": -1.5, "proper_right": -2.0, "name_same": 0.6, "name_inside": -0.8, "name_person": -0.3,
        "name_other": -1.5, "log_prior": 0.8, "weight": 2.0, "likeliest": 0.5, "is_label": 1.2, "near": 1.3,
        "kindred": 0.3, "beside": 1.0, "short_form": 2.0, "last_name": 1.5, "first_name": 0.5,
        "outsider": -2.0, "term": 3.0, "concept": 2.0, "category": -8.0, "kind_same": 0.7, "kind_clash": -0.7,
        "kind_nation": 1.0, "affinity": 0.5,
    },
    bias=-3.3,
)  # fmt: skip
"""Weights set by hand."""
PRIOR_MEAN = Weights(
    {
        **HAND_SET.of_feature,
        "sentence_start": 0.25, "log_words": 0.51, "log_candidates": -0.3, "echo": -0.61, "phrase": 0.41,
        "phrase_left": -0.06, "name_around": 0.63, "name_across": -0.04, "name_place": -0.53,
        "name_organisation": 0.28, "name_people": 0.26, "name_language": -0.06, "name_work": -0.44,
        "elsewhere": -0.71, "concept_alias": -0.38, "concept_capital": -0.43, "occupation": -0.51,
        "quoted_work": -0.7, "quoted_other": -1.31,
    },
    bias=-3.18,
)  # fmt: skip
"""The hand-set weights, and for the other features half of the weights learned from names marked in sentences of
Wikipedia: the prior mean of training (`python -m tests.benchmarks.general`).
"""
GENERAL = replace(PRIOR_MEAN, threshold=0.45)
"""The weights of a linker without training data. Training on more gold sets, each kind left out in turn, did not
improve the F1 on the kind left out. The threshold is chosen by the mean over kinds (`python -m
tests.benchmarks.linking_kinds`).
"""
