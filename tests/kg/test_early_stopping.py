"""Early stopping without improvement; the best weights are restored."""

from __future__ import annotations

import torch

from kg.early_stopping import BestSoFar


def test_training_stops_after_patience_and_the_best_weights_are_restored() -> None:
    model, best = torch.nn.Linear(1, 1), BestSoFar(patience=2)
    over = []
    for score in (0.1, 0.4, 0.3, 0.4, 0.2):
        torch.nn.init.constant_(model.weight, score)
        best.add(score, model)
        over.append(best.should_stop)
    assert over == [False, False, False, True, True]  # an equal score is no better one
    best.restore(model)
    assert model.weight.item() == torch.tensor(0.4)
    resumed = BestSoFar(patience=2)
    resumed.resume(best.state())
    assert resumed.should_stop


def test_without_patience_training_never_stops_early() -> None:
    model, best = torch.nn.Linear(1, 1), BestSoFar(patience=0)
    for score in (0.4, 0.3, 0.2):
        best.add(score, model)
    assert not best.should_stop
    best.restore(model)  # nothing was kept


def test_restore_before_the_first_score_does_nothing() -> None:
    assert not BestSoFar(patience=1).should_stop
