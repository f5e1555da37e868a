"""Cost of a stage: wall-clock seconds, processor seconds, memory."""

from __future__ import annotations

import os
import resource
import sys
import time
from contextlib import suppress

import psutil

from kepipe.files import replacing
from kepipe.flow.store import WorkDir


def peak_memory() -> float:
    """Peak memory of this process, or of its largest finished child, in megabytes."""
    held = (resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return max(held) * (1024 if sys.platform != "darwin" else 1) / 1e6


def _processor() -> float:
    """Processor time of this process, of its finished children, and of its living descendants in the same session:
    worker processes are; servers and deliveries of tracking have sessions of their own."""
    times = os.times()
    used = times.user + times.system + times.children_user + times.children_system
    session = os.getsid(0)
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.Error, ProcessLookupError):
            if os.getsid(process.pid) == session:
                used += sum(process.cpu_times()[:4])
    return used


class WorkClock:
    """Measures the time of a stage, including its interrupted attempts."""

    def __init__(self, workdir: WorkDir) -> None:
        self._file, self._begun, self._processor_begun = workdir.spent, time.monotonic(), _processor()
        try:
            self._before, self._processor_before = map(float, self._file.read_text().split())
        except (FileNotFoundError, ValueError):  # first attempt, or the file was emptied by a power failure
            self._before = self._processor_before = 0.0
        self.started = time.time()

    @property
    def seconds(self) -> float:
        return self._before + time.monotonic() - self._begun

    @property
    def processor_seconds(self) -> float:
        """Processor time of this process and its worker processes, including time not spent on the stage."""
        return self._processor_before + _processor() - self._processor_begun

    def save(self) -> None:
        with replacing(
            self._file, durable=False
        ) as unfinished:  # called often; may be lost in a power failure
            unfinished.write_text(f"{self.seconds} {self.processor_seconds}")
