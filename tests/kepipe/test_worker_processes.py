"""Workers end by themselves when the process that started them is killed."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

from tests.support.waiting import TIMEOUT, is_running, until

WORKER = f"""
import time
from kepipe.worker_processes import end_with_parent
end_with_parent()
print("ready", flush=True)
time.sleep({2 * TIMEOUT})
"""
PARENT = f"""
import subprocess, sys
worker = subprocess.Popen([sys.executable, "-c", {WORKER!r}], stdout=subprocess.PIPE, text=True)
worker.stdout.readline()
print(worker.pid, flush=True)
worker.wait()
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGHUP])
def test_worker_ends_with_its_parent(number: signal.Signals) -> None:
    parent = subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    worker = int(parent.stdout.readline())
    assert is_running(worker)
    parent.send_signal(number)
    parent.wait()
    until(lambda: not is_running(worker))
