"""The process that delivers while a run goes on. A run starts it: `kepipe track follow`.

First the journals that earlier runs left, then that of the run, and of a tuning those of its trials, until the run has
ended. A store that
cannot be reached is tried again as long as the run lives, and once more at its end.
"""

from __future__ import annotations

import os
import time
from pathlib import Path

from kepipe.flow.journal import is_written
from kepipe.tracking.cursor import Cursor, claim, journal_of, trials_of
from kepipe.tracking.decision import AskAgain
from kepipe.tracking.delivery import Delivery, deliver_each, deliver_pending
from kepipe.tracking.store import Store, StoreUnavailable, connect, store_uri

BEAT = 2.0
"""Seconds between deliveries: what happens meanwhile goes in one request."""
LONGEST = 60.0
"""Longest pause, in seconds, before a store that cannot be reached is tried again."""
NICE = 10
"""The training has the right of way on the processor."""


def follow(workspace: Path, run: str, rematch: AskAgain) -> None:
    """Deliver the run's journal until it is complete, or its writer has gone while the store cannot be reached."""
    os.nice(NICE)
    journal = journal_of(workspace, run)
    pause = BEAT
    with claim(journal) as mine:
        if not mine:
            return
        while True:
            last = not is_written(journal)
            try:
                _deliver(workspace, journal, connect(workspace), rematch)
                return
            except StoreUnavailable as reason:
                cursor = Cursor.load(journal, store_uri(workspace))
                cursor.unavailable = str(reason)
                cursor.save(journal)
            if last:
                return
            _sleep(journal, pause)
            pause = min(2 * pause, LONGEST)


def _deliver(workspace: Path, journal: Path, store: Store, rematch: AskAgain) -> None:
    deliver_pending(workspace, store, rematch, leave=journal)
    delivery = Delivery(journal, store, rematch)
    done = False
    while not done:
        done = delivery.advance()
        deliver_each(trials_of(journal), store, rematch)  # under the run, which is there now
        if not done:
            _sleep(journal, BEAT)


def _sleep(journal: Path, seconds: float) -> None:
    """Sleep, but not on after the end of the run."""
    end = time.monotonic() + seconds
    while time.monotonic() < end and is_written(journal):
        time.sleep(0.1)
