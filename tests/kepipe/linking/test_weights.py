"""The weights of a linker that has learned nothing of its own."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from kepipe.linking.features import FEATURES, Affinity
from kepipe.linking.linker import Linker
from kepipe.linking.ranker import AGAINST, FOR, Ranker, fit
from kepipe.linking.weights import EXPECTED, GENERAL
from kg.store import Graph
from tests.benchmarks.general import general, prepare


def test_an_untrained_linker_weighs_every_feature_by_name(graph: Graph) -> None:
    assert GENERAL.of_feature.keys() <= set(FEATURES)
    assert GENERAL.of_feature.items() >= EXPECTED.of_feature.items()
    ranker = Linker.build(graph).ranker
    assert dict(zip(FEATURES, ranker.weights.tolist(), strict=True)) == {
        name: GENERAL.of_feature.get(name, 0.0) for name in FEATURES
    }
    assert (ranker.bias, ranker.threshold, ranker.trained) == (GENERAL.bias, GENERAL.threshold, False)


def test_for_any_graph_only_what_nothing_is_expected_of_is_learned() -> None:
    rng = np.random.default_rng(0)
    features = rng.normal(size=(400, len(FEATURES)))
    concept, capital, related = (FEATURES.index(name) for name in ("concept", "capital", "related"))
    right = features[:, concept] - features[:, capital] + features[:, related] > 0
    expected, learned = (
        Ranker.of(EXPECTED),
        fit(features, right, np.ones(400), Affinity(), any_graph=True),
    )
    free = [name not in EXPECTED.of_feature.keys() | FOR | AGAINST for name in FEATURES]
    assert learned.weights[~np.asarray(free)] == pytest.approx(expected.weights[~np.asarray(free)])
    assert learned.weights[concept] > 0.5
    average = features.mean(axis=0)
    assert average @ learned.weights + learned.bias == pytest.approx(
        average @ expected.weights + expected.bias
    )


@pytest.mark.skipif("KEPIPE_DATA" not in os.environ, reason="KEPIPE_DATA is not set")
def test_the_general_weights_are_what_the_gold_sets_teach(tmp_path: Path) -> None:
    taught = general(*prepare(tmp_path / "graph"))
    assert {**EXPECTED.of_feature, **taught.of_feature} == pytest.approx(dict(GENERAL.of_feature), abs=0.02)
    assert taught.bias == pytest.approx(GENERAL.bias, abs=0.02)
