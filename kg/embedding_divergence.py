"""Errors for diverged training, in terms of the settings."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import numpy as np

from kg.arrays import Floats32


@contextmanager
def report_divergence(model: str, learning_rate: float) -> Iterator[None]:
    """A context for PyKEEN's training that turns a non-finite loss into a ValueError, without PyKEEN's log message."""
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
    """Raise ValueError for non-finite values, which the last step may have caused."""
    if not all(np.isfinite(each).all() for each in vectors):
        raise _diverged(model, learning_rate, "the vectors are")


def _diverged(model: str, learning_rate: float, what: str) -> ValueError:
    return ValueError(
        f"{model}: {what} not finite: training stops without a result. "
        f"The learning rate was {learning_rate:.3g}: try a lower one"
    )
