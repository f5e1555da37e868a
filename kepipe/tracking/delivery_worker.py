"""The process that delivers events to MLflow during a run, which starts it as `kepipe track follow`.

It delivers the pending journals of earlier runs first, then the run's own (and those of a tuning's trials) until the
run ends. An unreachable store is retried during the run and once more at its end.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

from kepipe.flow.journal import is_written
from kepipe.tracking.cursor import Cursor, claim, journal_of, trials_of
from kepipe.tracking.decision import EvaluatePair
from kepipe.tracking.delivery import Delivery, deliver_each, deliver_pending
from kepipe.tracking.store import Store, StoreUnavailable, connect, store_uri

INTERVAL = 2.0
"""Seconds between deliveries; events in between are batched."""
MAX_PAUSE = 60.0
"""Maximum pause, in seconds, before an unreachable store is retried."""
NICE = 10
"""Niceness of the process, so that training has priority."""


def deliver_run(workspace: Path, run: str, evaluate_pair: EvaluatePair) -> None:
    """Deliver the run's journal until it is complete, or until its writer has ended while the store is unreachable."""
    os.nice(NICE)
    journal = journal_of(workspace, run)
    pause = INTERVAL
    with claim(journal) as acquired:
        if not acquired:
            return
        while True:
            last = not is_written(journal)
            try:
                _deliver(workspace, journal, connect(workspace), evaluate_pair)
                return
            except StoreUnavailable as reason:
                cursor = Cursor.load(journal, store_uri(workspace))
                cursor.unavailable = str(reason)
                cursor.save(journal)
            if last:
                return
            _sleep(journal, pause)
            pause = min(2 * pause, MAX_PAUSE)


def _deliver(workspace: Path, journal: Path, store: Store, evaluate_pair: EvaluatePair) -> None:
    deliver_pending(workspace, store, evaluate_pair, exclude=journal)
    delivery = Delivery(journal, store, evaluate_pair)
    done = False
    while not done:
        done = delivery.advance()
        deliver_each(
            trials_of(journal), store, evaluate_pair
        )  # nested under the tuning's run, which exists by now
        if not done:
            _sleep(journal, INTERVAL)


def _sleep(journal: Path, seconds: float) -> None:
    """Sleep, at most until the run ends."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and is_written(journal):
        time.sleep(0.1)
