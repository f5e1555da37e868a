"""Batches prepared ahead of the model, in order, by threads."""

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
    """`make(key)` for each key, in the order of the keys; up to `depth` are made before they are asked for.

    What comes out does not depend on `workers`, as long as `make` is a function of its key. An error of `make`
    is raised where its result would have come. Close the iterator to stop the threads.
    """
    remaining = iter(keys)
    with ThreadPoolExecutor(workers, thread_name_prefix="ahead") as pool:
        waiting: deque[Future[Made]] = deque(pool.submit(make, key) for key in islice(remaining, depth))
        try:
            while waiting:
                made = waiting.popleft().result()
                waiting.extend(pool.submit(make, key) for key in islice(remaining, 1))
                yield made
        finally:
            for future in waiting:
                future.cancel()
