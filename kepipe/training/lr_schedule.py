"""The learning rate as a function of the share of the training that is done; it has no state."""

from __future__ import annotations

import math

from kepipe.training.settings import TrainingSettings

COOLDOWN = 0.2
"""Share of the training over which "wsd" decays."""


def learning_rate(share: float, settings: TrainingSettings, update: float = 0.0) -> float:
    """Learning rate of the next update when `share` of the training is done: a linear warm-up, then a decay by
    `settings.schedule`.

    `update`: one update as a share of the training, if the number of steps is known, else 0. With a warm-up of w
    updates the first has the rate peak / (w + 1). "linear" and "cosine" would reach 0 one update after the last;
    "inverse-sqrt" is peak · √((w + 1) / (s + 1)) after s updates (Vaswani et al. 2017, eq. 3, with the peak as the
    unit); "flat-inverse-sqrt" is peak · √(w / max(s, w)) (Raffel et al. 2020, section 3.1.2); "wsd" decays as 1 − √x
    over the last share x (Hägele et al. 2024, eq. 2).
    """
    peak, warmup = settings.learning_rate, settings.warmup_share()
    if settings.schedule == "flat-inverse-sqrt":
        return peak * math.sqrt(warmup / share) if share > warmup else peak
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
