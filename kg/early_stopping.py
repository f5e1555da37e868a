"""When to stop training: after the score on held-out triples has not risen for some time."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class BestSoFar:
    """Remembers each score and the weights that had the best one.

    It stands where PyKEEN expects a `Stopper` when it writes a checkpoint, and so survives with the rest of it.
    """

    def __init__(self, patience: int) -> None:
        """With a `patience` of 0 nothing is kept and training is never over."""
        self._patience = patience
        self._scores: list[float] = []
        self._weights: dict[str, Any] | None = None

    def add(self, score: float, model: Any) -> None:
        """Take note of a score, and of the model's weights if it is the best."""
        if self._patience and score > max(self._scores, default=float("-inf")):
            self._weights = {name: tensor.clone() for name, tensor in model.state_dict().items()}
        self._scores.append(score)

    @property
    def over(self) -> bool:
        """Whether the last `patience` scores were all no better than an earlier one."""
        since = len(self._scores) - 1 - self._scores.index(max(self._scores)) if self._scores else 0
        return bool(self._patience) and since >= self._patience

    def restore(self, model: Any) -> None:
        """Give the model its best weights back, if any were kept."""
        if self._weights is not None:
            model.load_state_dict(self._weights)

    def get_summary_dict(self) -> Mapping[str, Any]:
        """The state, for PyKEEN's checkpoint."""
        return {"scores": self._scores, "weights": self._weights}

    def resume(self, state: Mapping[str, Any]) -> None:
        """Go on from `get_summary_dict`."""
        self._scores, self._weights = list(state["scores"]), state["weights"]
