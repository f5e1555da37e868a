"""Prefetching: order, errors, closing."""

from __future__ import annotations

import threading
import time

import pytest

from kepipe.training.prefetch import prefetch


@pytest.mark.parametrize("workers", [1, 4])
def test_prefetch_keeps_the_order_of_keys(workers: int) -> None:
    def make(key: int) -> int:
        time.sleep(0.002 * (key % 3))
        return key * key

    assert list(prefetch(make, range(30), workers=workers, depth=7)) == [k * k for k in range(30)]


def test_prefetch_is_bounded_by_depth() -> None:
    made: list[int] = []

    def make(key: int) -> int:
        made.append(key)
        return key

    items = prefetch(make, range(100), workers=1, depth=3)
    assert next(items) == 0
    time.sleep(0.05)
    assert len(made) <= 4
    items.close()
    assert len(made) <= 4


def test_prefetch_raises_an_error_at_its_position() -> None:
    def make(key: int) -> float:
        return 1 / (key - 2)

    items = prefetch(make, range(5), workers=2, depth=4)
    assert [next(items), next(items)] == [-0.5, -1.0]
    with pytest.raises(ZeroDivisionError):
        next(items)


def test_prefetch_threads_stop_on_close() -> None:
    items = prefetch(lambda key: key, range(1000), workers=3, depth=9)
    next(items)
    items.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("prefetch")]
