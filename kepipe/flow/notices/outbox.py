"""Outbox of notices: they are stored before they are sent, so that none is lost if kepipe is killed or a server is
down."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from kepipe.files import lock, replacing
from kepipe.flow.history import Result
from kepipe.flow.notices.base import DeliveryError, Notice
from kepipe.flow.notices.table import channel_for
from kepipe.flow.schedule import Schedule
from kepipe.redaction import redact
from kg.regular_files import read_json

RETRY_DELAYS = (1.0, 4.0, 16.0)
"""Seconds before each retry of a delivery."""
MAX_AGE = 7 * 24 * 3600.0
"""Seconds after which an undelivered notice is dropped."""
LINES = 8
"""Number of last lines of a run's output in a notice."""


class Outbox:
    """Notifies targets (`webhook=https://…`) of scheduled runs. `outcomes`: only of these; empty: of all."""

    def __init__(
        self,
        workspace: Path,
        targets: Sequence[str],
        print_message: Callable[[str], None],
        outcomes: Sequence[str] = (),
        delays: Sequence[float] = RETRY_DELAYS,
    ) -> None:
        self._folder, self._print, self._delays = workspace / "schedule" / "outbox", print_message, delays
        self._channels = {target: channel_for(target) for target in targets}
        self._outcomes = tuple(outcomes)

    def __call__(self, name: str, schedule: Schedule, result: Result) -> None:
        """Notify every target of a run, and retry earlier notices that were not delivered."""
        if self._channels and (not self._outcomes or result.outcome in self._outcomes):
            notice = notice_of(name, schedule, result)
            self._folder.mkdir(parents=True, exist_ok=True)
            for number, target in enumerate(self._channels):
                with replacing(self._folder / f"{notice['id']}-{number}.json") as unfinished:
                    unfinished.write_text(json.dumps({"target": target, "notice": notice}))
        self.send()

    def send(self) -> None:
        """Send pending notices; those older than `MAX_AGE` or without a configured target are dropped."""
        with lock(self._folder.with_name("outbox.lock")):
            for file in sorted(self._folder.glob("*.json")):
                if self._send(file):
                    file.unlink(missing_ok=True)

    def _send(self, file: Path) -> bool:
        """Send a notice; whether it can be removed from the outbox."""
        try:
            pending: dict[str, Any] = read_json(file)
            channel, notice = self._channels[pending["target"]], pending["notice"]
        except (OSError, ValueError, KeyError, TypeError):
            return True
        try:
            self._send_with_retries(channel, notice)
        except DeliveryError as error:
            dropped = error.final or time.time() - notice["started"] > MAX_AGE
            consequence = "dropped" if dropped else "will be retried with the next notice"
            self._print(f"notice of {notice['schedule']} not delivered: {redact(str(error))}; {consequence}")
            return dropped
        return True

    def _send_with_retries(self, channel: Callable[[Notice], None], notice: Notice) -> None:
        for delay in self._delays:
            try:
                channel(notice)
            except DeliveryError as error:
                if error.final:
                    raise
                time.sleep(delay)
            else:
                return
        channel(notice)


def notice_of(name: str, schedule: Schedule, result: Result) -> dict[str, Any]:
    """The notice of a scheduled run."""
    values = {"id": secrets.token_hex(8), "schedule": name, "pipeline": schedule.pipeline}
    return {**values, **asdict(result), "said": _last_lines(Path(result.log)) if result.log else []}


def _last_lines(log: Path) -> list[str]:
    """The last lines of a run's output, which include the model's promotion decision."""
    try:
        with log.open("rb") as stream:
            stream.seek(max(0, log.stat().st_size - 8192))
            text = stream.read().decode(errors="replace")
    except OSError:
        return []
    return [redact(line) for line in text.splitlines() if line.strip()][-LINES:]
