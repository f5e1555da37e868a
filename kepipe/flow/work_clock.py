"""What the work on a key costs: seconds, processor seconds, memory."""

from __future__ import annotations

import os
import resource
import sys
import time

from kepipe.files import replacing
from kepipe.flow.store import WorkDir


def peak_memory() -> float:
    """Megabytes that this process, or the largest that it has seen end, has held at most until now."""
    held = (resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return max(held) * (1024 if sys.platform != "darwin" else 1) / 1e6


def _processor() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


class WorkClock:
    """Seconds of work on a key, those of interrupted attempts included."""

    def __init__(self, workdir: WorkDir) -> None:
        self._file, self._begun, self._processor_begun = workdir.spent, time.monotonic(), _processor()
        try:
            self._before, self._processor_before = map(float, self._file.read_text().split())
        except (FileNotFoundError, ValueError):  # the first attempt; or a power cut emptied the file
            self._before = self._processor_before = 0.0
        self.started = time.time()

    @property
    def seconds(self) -> float:
        return self._before + time.monotonic() - self._begun

    @property
    def processor_seconds(self) -> float:
        """Of this process and those that it has seen end, whatever they did besides."""
        return self._processor_before + _processor() - self._processor_begun

    def save(self) -> None:
        with replacing(self._file, durable=False) as unfinished:  # often; a power cut may take it
            unfinished.write_text(f"{self.seconds} {self.processor_seconds}")
