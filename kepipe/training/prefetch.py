"""Compute results ahead of time in threads, in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

Key = TypeVar("Key")
Made = TypeVar("Made")


def prefetch(
    make: Callable[[Key], Made], keys: Iterable[Key], *, workers: int, depth: int
) -> Generator[Made]:
    """`make(key)` for each key, in the order of the keys; up to `depth` results are computed ahead.

    The results do not depend on `workers` if `make` is a pure function. An error of `make` is raised in the place of
    its result. Close the generator to stop the threads.
    """
    remaining = iter(keys)
    with ThreadPoolExecutor(workers, thread_name_prefix="prefetch") as pool:
        waiting: deque[Future[Made]] = deque(pool.submit(make, key) for key in islice(remaining, depth))
        try:
            while waiting:
                made = waiting.popleft().result()
                waiting.extend(pool.submit(make, key) for key in islice(remaining, 1))
                yield made
        finally:
            for future in waiting:
                future.cancel()
