"""The learning rate as a function of the step: nothing to save, nothing to restore."""

from __future__ import annotations

import math

from kepipe.training.settings import TrainingSettings


def learning_rate(step: int, settings: TrainingSettings) -> float:
    """Rate of the update after `step` others: a linear rise over the warm-up, then a fall by `settings.schedule`.

    With w = `warmup_steps()` the first update has the rate peak / (w + 1). "linear" and "cosine" would reach 0
    at the first update after the last; "inverse-sqrt" is peak · √((w + 1) / (step + 1)) (Vaswani et al. 2017,
    eq. 3, with the peak as the unit).
    """
    peak, warmup = settings.learning_rate, settings.warmup_steps()
    if step < warmup:
        return peak * (step + 1) / (warmup + 1)
    done = (step - warmup) / max(1, settings.steps - warmup)
    match settings.schedule:
        case "linear":
            return peak * (1.0 - done)
        case "cosine":
            return peak * 0.5 * (1.0 + math.cos(math.pi * done))
        case "inverse-sqrt":
            return peak * math.sqrt((warmup + 1) / (step + 1))
        case "constant":
            return peak
