"""When vectors stop being numbers: what is said, in words of the settings."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import numpy as np

from kg.arrays import Floats32


@contextmanager
def told(model: str, learning_rate: float) -> Iterator[None]:
    """A block in which PyKEEN trains: a loss that is infinite or no number is a ValueError, and logged by nobody."""
    from pykeen.training.training_loop import NonFiniteLossError

    logger = logging.getLogger(NonFiniteLossError.__module__)
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    except NonFiniteLossError:
        raise _diverged(model, learning_rate, "the loss is") from None
    finally:
        logger.setLevel(level)


def require_finite(vectors: Iterable[Floats32], model: str, learning_rate: float) -> None:
    """Raise ValueError for values that are infinite or no numbers: the last step may be the one that broke them."""
    if not all(np.isfinite(each).all() for each in vectors):
        raise _diverged(model, learning_rate, "the vectors are")


def _diverged(model: str, learning_rate: float, what: str) -> ValueError:
    return ValueError(
        f"{model}: {what} infinite or no number: the training stops, and nothing is kept of it. "
        f"The learning rate was {learning_rate:.3g}: try a lower one"
    )
