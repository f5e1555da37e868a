"""Notices on their way: written down before they are told, so that a kill or a server that is away loses none."""

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
from kepipe.flow.notices.base import Notice, NotToldError
from kepipe.flow.notices.table import way_to
from kepipe.flow.schedule import Schedule
from kepipe.redaction import redact
from kg.regular_files import read_json

PAUSES = (1.0, 4.0, 16.0)
"""Seconds before a notice that did not arrive is told again."""
OLDEST = 7 * 24 * 3600.0
"""Seconds after which a notice that nobody took is given up."""
LINES = 8
"""Last lines of a run's output that a notice carries."""


class Outbox:
    """Tells targets (`webhook=https://…`) of firings. `outcomes`: of these alone; none: of all."""

    def __init__(
        self,
        workspace: Path,
        targets: Sequence[str],
        tell: Callable[[str], None],
        outcomes: Sequence[str] = (),
        pauses: Sequence[float] = PAUSES,
    ) -> None:
        self._folder, self._tell, self._pauses = workspace / "schedule" / "outbox", tell, pauses
        self._ways = {target: way_to(target) for target in targets}
        self._outcomes = tuple(outcomes)

    def __call__(self, name: str, schedule: Schedule, result: Result) -> None:
        """Tell every target of a firing, and what could not be told before."""
        if self._ways and (not self._outcomes or result.outcome in self._outcomes):
            notice = notice_of(name, schedule, result)
            self._folder.mkdir(parents=True, exist_ok=True)
            for number, target in enumerate(self._ways):
                with replacing(self._folder / f"{notice['id']}-{number}.json") as unfinished:
                    unfinished.write_text(json.dumps({"target": target, "notice": notice}))
        self.send()

    def send(self) -> None:
        """Tell what waits; what has no target any more, or waits for a week, is given up."""
        with lock(self._folder.with_name("outbox.lock")):
            for file in sorted(self._folder.glob("*.json")):
                if self._send(file):
                    file.unlink(missing_ok=True)

    def _send(self, file: Path) -> bool:
        """Whether a notice needs to be told no more."""
        try:
            waiting: dict[str, Any] = read_json(file)
            way, notice = self._ways[waiting["target"]], waiting["notice"]
        except (OSError, ValueError, KeyError, TypeError):
            return True
        try:
            self._patiently(way, notice)
        except NotToldError as error:
            given_up = error.final or time.time() - notice["started"] > OLDEST
            later = "it is given up" if given_up else "it is told with the next one"
            self._tell(f"notice of {notice['schedule']}: {redact(str(error))}; {later}")
            return given_up
        return True

    def _patiently(self, way: Callable[[Notice], None], notice: Notice) -> None:
        for pause in self._pauses:
            try:
                way(notice)
            except NotToldError as error:
                if error.final:
                    raise
                time.sleep(pause)
            else:
                return
        way(notice)


def notice_of(name: str, schedule: Schedule, result: Result) -> dict[str, Any]:
    """What is told of a firing."""
    values = {"id": secrets.token_hex(8), "schedule": name, "pipeline": schedule.pipeline}
    return {**values, **asdict(result), "said": _last_lines(Path(result.log)) if result.log else []}


def _last_lines(log: Path) -> list[str]:
    """The end of a run's output, which says what became of the model."""
    try:
        with log.open("rb") as stream:
            stream.seek(max(0, log.stat().st_size - 8192))
            text = stream.read().decode(errors="replace")
    except OSError:
        return []
    return [redact(line) for line in text.splitlines() if line.strip()][-LINES:]
