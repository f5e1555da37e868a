"""The learning rate as a function of how much of the training is done: nothing to save, nothing to restore."""

from __future__ import annotations

import math

from kepipe.training.settings import TrainingSettings

COOLDOWN = 0.2
"""Share of a training over which the rate falls by "wsd"."""


def learning_rate(share: float, settings: TrainingSettings, update: float = 0.0) -> float:
    """Rate of an update before which `share` of the training is done: a linear rise over the warm-up, then a fall by
    `settings.schedule`.

    `update`: the share that one update is, where that is known, as of a number of steps. With a warm-up of w updates
    the first has the rate peak / (w + 1). "linear" and "cosine" would reach 0 at the first update after the last;
    "inverse-sqrt" is peak · √((w + 1) / (s + 1)) after s updates (Vaswani et al. 2017, eq. 3, with the peak as the
    unit); "wsd" falls by 1 − √x over the last share x (Hägele et al. 2024, eq. 2).
    """
    peak, warmup = settings.learning_rate, settings.warmup_share()
    if share < warmup:
        return peak * (share + update) / (warmup + update)
    done = (share - warmup) / (1.0 - warmup)
    match settings.schedule:
        case "linear":
            return peak * (1.0 - done)
        case "cosine":
            return peak * 0.5 * (1.0 + math.cos(math.pi * done))
        case "inverse-sqrt":
            return peak * math.sqrt((warmup + update) / (share + update)) if share + update else peak
        case "constant":
            return peak
        case "wsd":
            return peak * (1.0 - math.sqrt(max(0.0, (share - 1.0 + COOLDOWN) / COOLDOWN)))
