"""Questions that wait at once are put to the model together."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from kepipe.serving.served_model import LoadedVersion

AT_ONCE = 64
"""Texts that are put to the model together."""


class BusyError(Exception):
    """More texts wait than may."""


@dataclass(frozen=True)
class Answer:
    """Rows of the model's table, `text` counted within the question, and which version gave them."""

    rows: list[dict[str, Any]]
    version: str


@dataclass(frozen=True)
class PendingRequest:
    texts: Sequence[str]
    params: Mapping[str, int]
    answer: Future[Answer] = field(default_factory=Future)


class Batcher:
    """One thread asks the model; what comes in meanwhile is asked next, together where the parameters are the same.

    `model`: the one to ask now; `waiting`: texts that may wait; `seen` hears how many texts were asked at once.
    """

    def __init__(
        self, model: Callable[[], LoadedVersion], waiting: int, seen: Callable[[int], None] = lambda _: None
    ) -> None:
        self._model, self._most_waiting, self._seen = model, waiting, seen
        self._questions: deque[PendingRequest] = deque()
        self._changed = threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._work, name="kepipe-batcher", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """Texts that wait."""
        with self._changed:
            return sum(len(question.texts) for question in self._questions)

    def ask(self, texts: Sequence[str], params: Mapping[str, int]) -> Future[Answer]:
        """Put a question. The answer is an `Answer`, or the model's ValueError for a text that it cannot take. A
        question that is cancelled before its turn is not asked. Raises BusyError where too many wait."""
        question = PendingRequest(texts, params)
        with self._changed:
            held = sum(len(other.texts) for other in self._questions)
            if self._closed or (held and held + len(texts) > self._most_waiting):
                raise BusyError
            self._questions.append(question)
            self._changed.notify()
        return question.answer

    def close(self, patience: float | None = None) -> None:
        """Answer what waits, and end; after so many seconds wait no longer."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        self._thread.join(patience)

    def _work(self) -> None:
        while group := self._next():
            asked = [question for question in group if question.answer.set_running_or_notify_cancel()]
            if asked:
                self._seen(sum(len(question.texts) for question in asked))
                self._answer(asked)

    def _next(self) -> list[PendingRequest]:
        """The oldest question, with those after it of the same parameters, as many as go at once; [] at the end."""
        with self._changed:
            self._changed.wait_for(lambda: self._questions or self._closed)
            group: list[PendingRequest] = []
            later: list[PendingRequest] = []
            size = 0
            while self._questions:
                question = self._questions.popleft()
                fits = not group or (
                    question.params == group[0].params and size + len(question.texts) <= AT_ONCE
                )
                if fits:
                    group.append(question)
                    size += len(question.texts)
                else:
                    later.append(question)
            self._questions.extend(later)
            return group

    def _answer(self, asked: Sequence[PendingRequest]) -> None:
        """Ask; where one of several questions has a text that the model refuses, each alone."""
        try:
            answers = _ask(self._model(), asked)
        except ValueError as error:
            if len(asked) == 1:
                asked[0].answer.set_exception(error)
            else:
                for question in asked:
                    self._answer([question])
        except Exception as error:  # the thread has to live on for the others
            for question in asked:
                question.answer.set_exception(error)
        else:
            for question, answer in zip(asked, answers, strict=True):
                question.answer.set_result(answer)


def _ask(loaded: LoadedVersion, asked: Sequence[PendingRequest]) -> list[Answer]:
    texts = [text for question in asked for text in question.texts]
    table = loaded.model.predict(texts, asked[0].params)
    rows_of: list[list[dict[str, Any]]] = [[] for _ in asked]
    owner = [(number, place) for number, question in enumerate(asked) for place in range(len(question.texts))]
    for row in table.to_dict("records"):
        number, place = owner[row["text"]]
        rows_of[number].append({**row, "text": place})
    return [Answer(rows, loaded.version) for rows in rows_of]
