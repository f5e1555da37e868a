"""Deliver journals to the store, resuming where the last delivery stopped."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from kepipe.flow.events import Event, Metrics, ModelOffered
from kepipe.flow.journal import Entry, is_written, read
from kepipe.tracking.cursor import Cursor, claim, journals
from kepipe.tracking.decision import EvaluatePair
from kepipe.tracking.registry import offer
from kepipe.tracking.runs import BATCH_LIMITS, Runs
from kepipe.tracking.store import RequestRejected, Store


class Delivery:
    """Delivers one journal, which may still be growing. Use under `claim`."""

    def __init__(self, journal: Path, store: Store, evaluate_pair: EvaluatePair) -> None:
        self.journal, self._store, self._rematch = journal, store, evaluate_pair
        self.cursor = Cursor.load(journal, store.uri)
        self._runs = Runs(store)
        for entry in read(journal, on_bad=self._ignore):
            if entry.end > self.cursor.sent:
                break
            self._runs.replay(entry.event)

    def advance(self) -> bool:
        """Send all new events; returns whether the journal is completely delivered. Raises StoreUnavailable."""
        if self.cursor.done:
            return True
        written = is_written(self.journal)  # checked before reading: if False, the read below is complete
        for batch in batches(read(self.journal, self.cursor.sent, self._refuse)):
            self._send(batch)
        if not written:
            self._guard(self._runs.end_abandoned, "the end of the run")
            self.cursor.done = True
        self.cursor.unavailable = ""
        self.cursor.save(self.journal)
        return self.cursor.done

    def _send(self, batch: list[Entry]) -> None:
        """Send a batch. The cursor is saved before and after, so that a kill in between is detected."""
        events, end = [entry.event for entry in batch], batch[-1].end
        may_exist = self.cursor.sending > self.cursor.sent
        self.cursor.sending = max(end, self.cursor.sending)
        self.cursor.save(self.journal)
        metrics = [event for event in events if isinstance(event, Metrics)]
        if metrics:
            self._guard(lambda: self._runs.write_metrics(metrics, may_exist), "metrics")
        else:
            event = events[0]
            self._guard(lambda: self._write(event), f"{type(event).__name__} of {event.stage or 'the run'}")
        self.cursor.sent = end
        self.cursor.save(self.journal)

    def _write(self, event: Event) -> None:
        if isinstance(event, ModelOffered):
            outcome = offer(self._store, event, self._runs, self._rematch)
            if outcome is not None:
                others = [known for known in self.cursor.registered if known != outcome]
                self.cursor.registered = [*others, outcome]
        else:
            self._runs.write(event)

    def _guard(self, action: Callable[[], None], what: str) -> None:
        try:
            self._store.attempt(action, self._runs.pipeline)
        except RequestRejected as refusal:
            self._refuse(f"{what}: {refusal}")

    def _refuse(self, why: str) -> None:
        if why not in self.cursor.refused:
            self.cursor.refused.append(why)

    def _ignore(self, why: str) -> None:
        """Ignore an invalid line before the cursor: it was reported when the cursor passed it."""


def batches(entries: Iterator[Entry]) -> Iterator[list[Entry]]:
    """Group consecutive metrics up to the size limit of a request; other events are batches of one."""
    waiting: list[Entry] = []
    count = 0
    for entry in entries:
        size = len(entry.event.values) if isinstance(entry.event, Metrics) else 0
        if waiting and (not size or count + size > BATCH_LIMITS["metrics"]):
            yield waiting
            waiting, count = [], 0
        if size:
            waiting.append(entry)
            count += size
        else:
            yield [entry]
    if waiting:
        yield waiting


def deliver_pending(
    workspace: Path,
    store: Store,
    evaluate_pair: EvaluatePair,
    exclude: Path | None = None,
    wait: bool = False,
) -> dict[str, Cursor]:
    """Deliver all pending journals except `exclude`, oldest first. Raises StoreUnavailable.

    `wait`: wait for other processes that are delivering runs that have ended; without, their journals are left to them.
    Returns the cursors of the runs that are delivered now.
    """
    return deliver_each(journals(workspace), store, evaluate_pair, exclude, wait)


def deliver_each(
    pending: Iterable[Path],
    store: Store,
    evaluate_pair: EvaluatePair,
    exclude: Path | None = None,
    wait: bool = False,
) -> dict[str, Cursor]:
    """Deliver these journals in order; otherwise like `deliver_pending`."""
    cursors = {}
    for journal in pending:
        if journal == exclude or Cursor.load(journal, store.uri).done:
            continue
        with claim(journal, timeout=-1 if wait and not is_written(journal) else 0) as acquired:
            if acquired:
                delivery = Delivery(journal, store, evaluate_pair)
                delivery.advance()
                cursors[journal.stem] = delivery.cursor
    return cursors
