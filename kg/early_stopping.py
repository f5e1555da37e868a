"""Early stopping, by the score on held-out triples."""

from __future__ import annotations

from typing import Any, NamedTuple


class BestSoFar:
    """Keeps all scores, and the weights with the best one."""

    class State(NamedTuple):
        """The scores in order, and the best weights by name."""

        scores: list[float]
        weights: dict[str, Any] | None

    def __init__(self, patience: int) -> None:
        """With a `patience` of 0, no weights are kept and training never stops early."""
        self._patience = patience
        self._scores: list[float] = []
        self._weights: dict[str, Any] | None = None

    def add(self, score: float, model: Any) -> None:
        """Record a score, and the model's weights if it is the best."""
        if self._patience and score > max(self._scores, default=float("-inf")):
            self._weights = {name: tensor.clone() for name, tensor in model.state_dict().items()}
        self._scores.append(score)

    @property
    def should_stop(self) -> bool:
        """Whether none of the last `patience` scores is better than the best earlier one."""
        since = len(self._scores) - 1 - self._scores.index(max(self._scores)) if self._scores else 0
        return bool(self._patience) and since >= self._patience

    def restore(self, model: Any) -> None:
        """Load the best weights into the model, if any were kept."""
        if self._weights is not None:
            model.load_state_dict(self._weights)

    def state(self) -> State:
        """The state for a checkpoint."""
        return BestSoFar.State(self._scores, self._weights)

    def resume(self, state: State) -> None:
        """Restore `state`."""
        self._scores, self._weights = list(state.scores), state.weights
