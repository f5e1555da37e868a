"""When to stop training: after the score on held-out triples has not risen for some time."""

from __future__ import annotations

from typing import Any, NamedTuple


class BestSoFar:
    """Remembers each score and the weights that had the best one."""

    class State(NamedTuple):
        """What is remembered: the scores in order, the best weights by name."""

        scores: list[float]
        weights: dict[str, Any] | None

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

    def state(self) -> State:
        """What a checkpoint keeps."""
        return BestSoFar.State(self._scores, self._weights)

    def resume(self, state: State) -> None:
        """Go on from `state`."""
        self._scores, self._weights = list(state.scores), state.weights
