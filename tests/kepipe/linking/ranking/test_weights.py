"""The default weights of a linker without training."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from kepipe.linking.features.affinity import Affinity
from kepipe.linking.features.describe import FEATURES
from kepipe.linking.linker import Linker
from kepipe.linking.ranking.ranker import GRAPH_SPECIFIC, Ranker, fit
from kepipe.linking.ranking.weights import GENERAL, HAND_SET, PRIOR_MEAN
from kg.store import Graph
from tests.benchmarks.general import prior_mean
from tests.benchmarks.linking_sets import join_punctuation


def test_untrained_linker_has_default_weights_by_feature_name(graph: Graph) -> None:
    for learned in (PRIOR_MEAN, GENERAL):
        assert learned.of_feature.keys() <= set(FEATURES)
        assert learned.of_feature.items() >= HAND_SET.of_feature.items()
    ranker = Linker.build(graph).ranker
    assert dict(zip(FEATURES, ranker.weights.tolist(), strict=True)) == {
        name: GENERAL.of_feature.get(name, 0.0) for name in FEATURES
    }
    assert (ranker.bias, ranker.threshold, ranker.trained) == (GENERAL.bias, GENERAL.threshold, False)


def test_graph_independent_training_keeps_hand_set_weights() -> None:
    rng = np.random.default_rng(0)
    features = rng.normal(size=(400, len(FEATURES)))
    alias, capital, related = (FEATURES.index(name) for name in ("concept_alias", "capital", "related"))
    right = features[:, alias] - features[:, capital] + features[:, related] > 0
    start = Ranker.from_weights(PRIOR_MEAN)
    learned = fit(features, right, np.ones(400), Affinity(), PRIOR_MEAN, GRAPH_SPECIFIC)
    held = np.asarray([name in GRAPH_SPECIFIC for name in FEATURES])
    assert held[[capital, related, alias]].tolist() == [True, True, False]
    assert learned.weights[held] == pytest.approx(start.weights[held])
    assert learned.weights[alias] > start.weights[alias] + 0.5
    average = features.mean(axis=0)
    assert average @ learned.weights + learned.bias == pytest.approx(average @ start.weights + start.bias)


def test_weights_stay_at_the_prior_mean_without_evidence() -> None:
    rng = np.random.default_rng(0)
    features = rng.normal(size=(3, len(FEATURES)))
    for start in (HAND_SET, PRIOR_MEAN):
        learned = fit(features, np.ones(3, bool), np.full(3, 1e-9), Affinity(), start)
        assert learned.weights == pytest.approx(Ranker.from_weights(start).weights, abs=1e-3)


@pytest.mark.skipif("KEPIPE_DATA" not in os.environ, reason="KEPIPE_DATA is not set")
def test_the_default_weights_are_those_learned_from_the_sentences(tmp_path: Path) -> None:
    learned = prior_mean(tmp_path)
    assert {**HAND_SET.of_feature, **learned.of_feature} == pytest.approx(
        dict(PRIOR_MEAN.of_feature), abs=0.02
    )
    assert learned.bias == pytest.approx(PRIOR_MEAN.bias, abs=0.02)


@pytest.mark.parametrize(
    ("apart", "printed"),
    [
        ('Regina , Saskatchewan ( near " the airport " )', 'Regina, Saskatchewan (near "the airport")'),
        ("It is n't Paul 's : 12 % .", "It isn't Paul's: 12%."),
        ('James " Jim " Joyce', 'James "Jim" Joyce'),
    ],
)
def test_split_tokens_are_joined_again(apart: str, printed: str) -> None:
    text, places = join_punctuation(apart)
    assert text == printed
    assert all(text[place] == letter for place, letter in zip(places, apart, strict=False) if letter != " ")
    assert places[len(apart)] == len(text)
