"""A server and its children end with the process that started it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable

import pytest

from tests.support.waiting import TIMEOUT, is_running, until

SERVER = f"""
import subprocess, sys, time
other = subprocess.Popen([sys.executable, "-c", "import time; time.sleep({2 * TIMEOUT})"])
print(other.pid, flush=True)
time.sleep({2 * TIMEOUT})
"""
PARENT = f"""
import sys
from kepipe.tracking.server_process import launch
launch([sys.executable, "-c", {SERVER!r}]).wait()
"""


@pytest.mark.parametrize("send", [os.kill, os.killpg], ids=["process", "group"])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_server_children_end_with_the_parent_process(
    number: signal.Signals, send: Callable[[int, int], None]
) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True, start_new_session=True
    )
    assert parent.stdout is not None
    grandchild = int(parent.stdout.readline())
    send(parent.pid, number)
    parent.wait()
    until(lambda: not is_running(grandchild))
