"""A signal ends a command with exit code 130 and without a traceback, whenever it comes."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

SIGNALS = [signal.SIGTERM, signal.SIGINT]
PROGRAM = """
import atexit, os, runpy, signal, sys

class Import:
    def find_spec(self, name, path=None, target=None):
        if name == moment:
            os.kill(os.getpid(), number)

moment, number, ignored = sys.argv[1], int(sys.argv[2]), sys.argv[3:] == ["ignored"]
signal.signal(signal.SIGINT, signal.SIG_IGN if ignored else signal.default_int_handler)
sys.meta_path.insert(0, Import())
if moment == "end":
    atexit.register(os.kill, os.getpid(), number)
sys.argv = ["kepipe", "config", "schema"]
runpy.run_module("kepipe", run_name="__main__")
"""


def ended(moment: str, number: int, *more: str) -> subprocess.CompletedProcess[str]:
    """`kepipe config schema`, to which a signal comes when it imports the module `moment`, or at its end."""
    command = [sys.executable, "-c", PROGRAM, moment, str(int(number)), *more]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize("moment", ["kepipe.terminal", "kepipe.cli.vectors", "end"])
def test_before_and_after_its_work_a_command_ends_at_once(moment: str, number: signal.Signals) -> None:
    done = ended(moment, number)
    assert (done.returncode, done.stderr) == (130, "")


@pytest.mark.parametrize("number", SIGNALS)
def test_at_work_a_command_says_that_it_was_interrupted(number: signal.Signals) -> None:
    done = ended("kepipe.stages.table", number)
    assert done.returncode == 130
    assert done.stderr == "kepipe: interrupted; the same command continues where it stopped\n"


def test_what_a_shell_runs_in_its_background_hears_no_ctrl_c() -> None:
    for moment in ("kepipe.terminal", "kepipe.stages.table", "end"):
        done = ended(moment, signal.SIGINT, "ignored")
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.startswith("{")
