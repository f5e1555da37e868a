"""Preparing ahead: the order, the errors, the end."""

from __future__ import annotations

import threading
import time

import pytest

from kepipe.training.prefetch import prefetch


@pytest.mark.parametrize("workers", [1, 4])
def test_the_order_is_that_of_the_keys_whoever_is_faster(workers: int) -> None:
    def make(key: int) -> int:
        time.sleep(0.002 * (key % 3))
        return key * key

    assert list(prefetch(make, range(30), workers=workers, depth=7)) == [k * k for k in range(30)]


def test_no_more_than_depth_is_made_before_it_is_asked_for() -> None:
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


def test_an_error_comes_where_its_result_would_have_come() -> None:
    def make(key: int) -> float:
        return 1 / (key - 2)

    items = prefetch(make, range(5), workers=2, depth=4)
    assert [next(items), next(items)] == [-0.5, -1.0]
    with pytest.raises(ZeroDivisionError):
        next(items)


def test_closing_stops_the_threads() -> None:
    items = prefetch(lambda key: key, range(1000), workers=3, depth=9)
    next(items)
    items.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("prefetch")]
