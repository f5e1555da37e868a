"""Each measure on unchanged and on changed text."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from scipy.spatial.distance import jensenshannon
from sklearn.linear_model import Ridge
from sklearn.metrics import roc_auc_score

from kepipe.data.document import Document
from kepipe.drift import domain, entities, loss, unknown_tokens, unlinked
from kepipe.drift.base import NotMeasurable, Windows
from kepipe.drift.check import check, draw
from kepipe.drift.table import MEASURES
from kepipe.linking.text.casing import Casing
from tests.support.world import World, make_documents, make_world

REVIEWS = (
    "a dull film with wooden actors and a plot that nobody asked for.",
    "the jokes fall flat, the ending drags, and the hero mumbles.",
    "what a charming picture: funny, quick and full of heart!",
    "i left the cinema before the credits and want my money back.",
)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return make_world(tmp_path_factory.mktemp("world"))


@pytest.fixture(scope="module")
def windows(world: World, tmp_path_factory: pytest.TempPathFactory) -> Windows:
    """Two windows of one source."""
    documents = make_documents(60)
    linker = tmp_path_factory.mktemp("linker")
    Casing.count([document.text for document in documents]).save(linker / "casing")
    return Windows(documents[:30], documents[:20], documents[30:], world.arms[0].folder, linker, 0)


@pytest.fixture(scope="module")
def changed(windows: Windows) -> Windows:
    """The new window has film reviews."""
    reviews = [Document(f"r{n}", f"{REVIEWS[n % 4]} {REVIEWS[(n + n // 4) % 4]}") for n in range(20)]
    return replace(windows, new=reviews)


def test_no_measure_finds_drift_within_one_source(windows: Windows) -> None:
    report = check(windows)
    assert report.drifted == ()
    assert report.headline == "no drift in 30 new documents"
    assert set(report.found) | set(report.skipped) == set(MEASURES)


def test_another_domain_is_detected(changed: Windows) -> None:
    report = check(changed)
    assert "domain" in report.drifted
    assert "unknown-tokens" in report.drifted
    assert report.found["domain"].statistic > 0.95
    assert report.headline.startswith("drift in 20 new documents: ")
    assert "entities" in report.skipped  # reviews mention none


def test_names_missing_in_the_graph_are_detected(windows: Windows) -> None:
    new = [replace(d, mentions=d.mentions[:3]) for d in windows.new]
    found = unlinked.compare(replace(windows, new=new))
    assert found.reference < 0.2 < found.new
    assert found.p == 0.001
    assert unlinked.compare(windows).p > 0.05


def test_other_entities_are_detected_by_the_divergence_of_their_frequencies(windows: Windows) -> None:
    found = entities.compare(windows)
    counts = []
    names = sorted({m.entity for d in (*windows.reference, *windows.new) for m in d.mentions})
    for window in (windows.new, windows.reference):
        named = [m.entity for d in window for m in d.mentions]
        counts.append([named.count(name) for name in names])
    assert found.statistic == pytest.approx(jensenshannon(*counts, base=2) ** 2)
    assert found.p > 0.05
    kept = set(names[:12])
    new = [replace(d, mentions=tuple(m for m in d.mentions if m.entity in kept)) for d in windows.new]
    assert entities.compare(replace(windows, new=new)).p == 0.001


def test_classifier_scores_are_leave_one_out(windows: Windows) -> None:
    """Scores equal those of ridge regressions fitted without each document."""
    rng = np.random.default_rng(0)
    features_NF, new_N = rng.normal(size=(25, 6)), np.arange(25) >= 15
    scores_N = domain._LeaveOneOutScores(features_NF @ features_NF.T)(new_N[None])[0]
    centred_NF = features_NF - features_NF.mean(0)
    for row in range(25):
        others = np.arange(25) != row
        model = Ridge(alpha=domain.RIDGE).fit(centred_NF[others], new_N[others].astype(float))
        assert scores_N[row] == pytest.approx(model.predict(centred_NF[row : row + 1])[0])
    assert domain._roc_auc(scores_N[None], new_N[None])[0] == pytest.approx(roc_auc_score(new_N, scores_N))


def test_the_domain_measure_keeps_its_false_alarm_rate(windows: Windows) -> None:
    texts = make_documents(400)
    rng = np.random.default_rng(3)
    alarms = 0
    for seed in range(40):
        drawn = [texts[number] for number in rng.permutation(400)[:40]]
        alarms += domain.compare(replace(windows, reference=drawn[:25], new=drawn[25:], seed=seed)).p <= 0.05
    assert alarms <= 6  # of 40 at 5%: 7 or more come in 3 of 100 000 cases


def test_the_loss_is_compared_with_that_of_held_out_documents(windows: Windows, changed: Windows) -> None:
    assert loss.compare(windows).p > 0.01
    assert loss.compare(windows) == loss.compare(windows)
    with pytest.raises(NotMeasurable, match="0 reference and 30 new documents"):
        loss.compare(replace(windows, unseen=windows.unseen[:0]))
    assert np.isfinite(loss.compare(changed).new)
    assert unknown_tokens.compare(changed).new > 0.02 > unknown_tokens.compare(windows).new


def test_windows_are_sampled_in_order() -> None:
    documents = [Document(str(number), "x") for number in range(50)]
    drawn = draw(documents, np.random.default_rng(0), 10)
    numbers = [int(document.id) for document in drawn]
    assert numbers == sorted(numbers)
    assert len(set(numbers)) == 10


@pytest.mark.data
def test_drift_is_found_between_abstracts_and_reviews_but_not_within_abstracts(windows: Windows) -> None:
    if "KEPIPE_DATA" not in os.environ:
        pytest.skip("KEPIPE_DATA is not set")
    data = Path(os.environ["KEPIPE_DATA"])
    from kepipe.data.document_files import read_documents

    abstracts = list(read_documents(data / "corpora" / "biomedical-abstracts.jsonl"))
    reviews = list(read_documents(data / "corpora" / "movie-reviews.jsonl"))
    order = np.random.default_rng(0).permutation(len(abstracts))
    before, same = ([abstracts[n] for n in part] for part in (order[:120], order[120:200]))
    apart = domain.compare(replace(windows, reference=before, new=reviews[:80]))
    assert (apart.statistic > 0.99, apart.p) == (True, 0.001)
    assert domain.compare(replace(windows, reference=before, new=same)).p > 0.01
