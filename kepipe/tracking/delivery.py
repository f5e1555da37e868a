"""Bring journals to the store, from where the last delivery stopped."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from kepipe.flow.events import Event, Metrics, ModelOffered
from kepipe.flow.journal import Entry, is_written, read
from kepipe.tracking.cursor import Cursor, claim, journals
from kepipe.tracking.decision import AskAgain
from kepipe.tracking.registry import offer
from kepipe.tracking.runs import AT_ONCE, Runs
from kepipe.tracking.store import RefusedError, Store


class Delivery:
    """Delivers one journal, which may still grow. Use under `claim`."""

    def __init__(self, journal: Path, store: Store, rematch: AskAgain) -> None:
        self.journal, self._store, self._rematch = journal, store, rematch
        self.cursor = Cursor.load(journal, store.uri)
        self._runs = Runs(store)
        for entry in read(journal, on_bad=self._ignore):
            if entry.end > self.cursor.sent:
                break
            self._runs.replay(entry.event)

    def advance(self) -> bool:
        """Send all that is there; returns whether the journal is complete. Raises StoreUnavailable."""
        if self.cursor.done:
            return True
        written = is_written(self.journal)  # asked first: what is read after it is all there will be
        for batch in batches(read(self.journal, self.cursor.sent, self._refuse)):
            self._send(batch)
        if not written:
            self._guard(self._runs.end_abandoned, "the end of the run")
            self.cursor.done = True
        self.cursor.unavailable = ""
        self.cursor.save(self.journal)
        return self.cursor.done

    def _send(self, batch: list[Entry]) -> None:
        """Send a batch. The cursor tells of it before and after, so that a kill in between is noticed."""
        events, end = [entry.event for entry in batch], batch[-1].end
        doubtful = self.cursor.sending > self.cursor.sent
        self.cursor.sending = max(end, self.cursor.sending)
        self.cursor.save(self.journal)
        metrics = [event for event in events if isinstance(event, Metrics)]
        if metrics:
            self._guard(lambda: self._runs.write_metrics(metrics, doubtful), "metrics")
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
            self._store.attempt(action)
        except RefusedError as refusal:
            self._refuse(f"{what}: {refusal}")

    def _refuse(self, why: str) -> None:
        if why not in self.cursor.refused:
            self.cursor.refused.append(why)

    def _ignore(self, why: str) -> None:
        """A bad line before the cursor was told of when the cursor passed it."""


def batches(entries: Iterator[Entry]) -> Iterator[list[Entry]]:
    """Metrics that follow each other go together, as many as one request takes; all else goes alone."""
    waiting: list[Entry] = []
    count = 0
    for entry in entries:
        size = len(entry.event.values) if isinstance(entry.event, Metrics) else 0
        if waiting and (not size or count + size > AT_ONCE["metrics"]):
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
    workspace: Path, store: Store, rematch: AskAgain, leave: Path | None = None
) -> dict[str, Cursor]:
    """Deliver, oldest first, the journals that wait, except `leave`. Raises StoreUnavailable.

    Returns the cursor of each run that was looked after.
    """
    return deliver_each(journals(workspace), store, rematch, leave)


def deliver_each(
    waiting: Iterable[Path], store: Store, rematch: AskAgain, leave: Path | None = None
) -> dict[str, Cursor]:
    """The same of these journals, in their order."""
    cursors = {}
    for journal in waiting:
        if journal == leave or Cursor.load(journal, store.uri).done:
            continue
        with claim(journal) as mine:
            if mine:
                delivery = Delivery(journal, store, rematch)
                delivery.advance()
                cursors[journal.stem] = delivery.cursor
    return cursors
