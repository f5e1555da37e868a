"""Dynamic batching: queued requests are run through the model together."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from kepipe.serving.served_model import LoadedVersion

MAX_BATCH_TEXTS = 64
"""Maximum number of texts per batch (a single larger request is one batch)."""


class BusyError(Exception):
    """The queue is full."""


@dataclass(frozen=True)
class Answer:
    """Rows of the model's output table, `text` being the index within the request, and the model version."""

    rows: list[dict[str, Any]]
    version: str


@dataclass(frozen=True)
class PendingRequest:
    """A request in the queue, with the future of its answer."""

    texts: Sequence[str]
    params: Mapping[str, int]
    answer: Future[Answer] = field(default_factory=Future)


class Batcher:
    """One thread runs the model; requests that arrive meanwhile form the next batch, if their parameters are the same.

    `model`: returns the model to use now; `max_waiting`: maximum number of waiting texts; `on_batch` is called with the
    number of texts of each batch.
    """

    def __init__(
        self,
        model: Callable[[], LoadedVersion],
        max_waiting: int,
        on_batch: Callable[[int], None] = lambda _: None,
    ) -> None:
        self._model, self._max_waiting, self._on_batch = model, max_waiting, on_batch
        self._queue: deque[PendingRequest] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._work, name="kepipe-batcher", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """Number of waiting texts."""
        with self._changed:
            return sum(len(request.texts) for request in self._queue)

    def submit(self, texts: Sequence[str], params: Mapping[str, int]) -> Future[Answer]:
        """Queue a request. The future has an `Answer`, or the model's ValueError for a text that it rejects. A request
        whose future is cancelled before its turn is skipped. Raises BusyError if too many texts are waiting."""
        request = PendingRequest(texts, params)
        with self._changed:
            waiting = sum(len(other.texts) for other in self._queue)
            if self._closed or (waiting and waiting + len(texts) > self._max_waiting):
                raise BusyError
            self._queue.append(request)
            self._changed.notify()
        return request.answer

    def close(self, timeout: float | None = None) -> None:
        """Process the queued requests, then stop; wait at most `timeout` seconds for that."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join(timeout)

    def _work(self) -> None:
        while batch := self._next():
            requests = [request for request in batch if request.answer.set_running_or_notify_cancel()]
            if requests:
                self._on_batch(sum(len(request.texts) for request in requests))
                self._answer(requests)

    def _next(self) -> list[PendingRequest]:
        """The next batch: the oldest request, and later ones with the same parameters that fit; [] when closed."""
        with self._changed:
            self._changed.wait_for(lambda: self._queue or self._closed)
            batch: list[PendingRequest] = []
            later: list[PendingRequest] = []
            size = 0
            while self._queue:
                request = self._queue.popleft()
                fits = not batch or (
                    request.params == batch[0].params and size + len(request.texts) <= MAX_BATCH_TEXTS
                )
                if fits:
                    batch.append(request)
                    size += len(request.texts)
                else:
                    later.append(request)
            self._queue.extend(later)
            return batch

    def _answer(self, requests: Sequence[PendingRequest]) -> None:
        """Run the model on a batch. If it rejects a text, each request is run alone, so that only its own fails."""
        try:
            answers = _predict(self._model(), requests)
        except ValueError as error:
            if len(requests) == 1:
                requests[0].answer.set_exception(error)
            else:
                for request in requests:
                    self._answer([request])
        except Exception as error:  # the thread must survive for later requests
            for request in requests:
                request.answer.set_exception(error)
        else:
            for request, answer in zip(requests, answers, strict=True):
                request.answer.set_result(answer)


def _predict(loaded: LoadedVersion, requests: Sequence[PendingRequest]) -> list[Answer]:
    texts = [text for request in requests for text in request.texts]
    table = loaded.model.predict(texts, requests[0].params)
    rows_of: list[list[dict[str, Any]]] = [[] for _ in requests]
    owner = [(number, place) for number, each in enumerate(requests) for place in range(len(each.texts))]
    for row in table.to_dict("records"):
        number, place = owner[row["text"]]
        rows_of[number].append({**row, "text": place})
    return [Answer(rows, loaded.version) for rows in rows_of]
