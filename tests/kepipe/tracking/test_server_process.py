"""A server ends, with all that it has started, when the process ends that it is for."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

SERVER = """
import subprocess, sys, time
other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
print(other.pid, flush=True)
time.sleep(600)
"""
PARENT = f"""
import os, subprocess, sys
command = [sys.executable, "-m", "kepipe.tracking.server_process", str(os.getpid()), sys.executable, "-c", {SERVER!r}]
subprocess.Popen(command).wait()
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_what_a_server_started_ends_with_the_process_it_is_for(number: signal.Signals) -> None:
    parent = subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    grandchild = int(parent.stdout.readline())
    parent.send_signal(number)
    parent.wait()
    end = time.monotonic() + 120
    while time.monotonic() < end:
        try:
            os.kill(grandchild, 0)
        except ProcessLookupError:
            return
        time.sleep(0.05)
    pytest.fail("it still runs")
