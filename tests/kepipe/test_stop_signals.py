"""A signal ends a command with exit code 130 and without a traceback, whenever it comes."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.waiting import TIMEOUT

SIGNALS = [signal.SIGTERM, signal.SIGINT]
PROGRAM = """
import atexit, os, runpy, signal, sys

class Import:
    def find_spec(self, name, path=None, target=None):
        if name == moment:
            os.kill(os.getpid(), number)

def opened(event, arguments):
    if moment == "work" and event == "open" and str(arguments[0]).endswith("p.yaml"):
        os.kill(os.getpid(), number)

moment, number, pipeline, ignored = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4:] == ["ignored"]
signal.signal(signal.SIGINT, signal.SIG_IGN if ignored else signal.default_int_handler)
sys.meta_path.insert(0, Import())
sys.addaudithook(opened)
if moment == "end":
    atexit.register(os.kill, os.getpid(), number)
sys.argv = ["kepipe", "config", "check", pipeline]
runpy.run_module("kepipe", run_name="__main__")
"""
IMPORT = f"""
import os, signal, sys, time
from kepipe.stop_signals import raise_interrupts

raise_interrupts()
try:
    import slow
    time.sleep({TIMEOUT})
except KeyboardInterrupt:
    print(sorted(name for name in vars(sys.modules["slow"]) if name.startswith("part")))
"""
SLOW = f"import os, signal\npart1 = 1\nos.kill(os.getpid(), {int(signal.SIGTERM)})\npart2 = len([*range(99999)])\n"
SAID = "kepipe: interrupted; the same command continues where it stopped\n"


@pytest.fixture(scope="module")
def pipeline(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("signals") / "p.yaml"
    file.write_text("name: p\nstages: {}\n")
    return file


def ended(pipeline: Path, moment: str, number: int, *more: str) -> subprocess.CompletedProcess[str]:
    """`kepipe config check`, to which a signal comes when it imports the module `moment`, at its work, or at its
    end."""
    command = [sys.executable, "-c", PROGRAM, moment, str(int(number)), str(pipeline), *more]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=TIMEOUT)


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize("moment", ["kepipe.terminal", "kepipe.cli.vectors", "end"])
def test_signal_before_or_after_work_exits_silently_with_130(
    pipeline: Path, moment: str, number: signal.Signals
) -> None:
    done = ended(pipeline, moment, number)
    assert (done.returncode, done.stderr) == (130, "")


@pytest.mark.parametrize("number", SIGNALS)
def test_signal_during_work_reports_the_interruption(pipeline: Path, number: signal.Signals) -> None:
    done = ended(pipeline, "work", number)
    assert (done.returncode, done.stderr) == (130, SAID)


def test_signal_during_an_import_is_deferred(tmp_path: Path) -> None:
    """What is raised within one aborts libraries in C++."""
    (tmp_path / "slow.py").write_text(SLOW)
    command = [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(tmp_path)!r}){IMPORT}"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=TIMEOUT)
    assert (done.returncode, done.stdout, done.stderr) == (0, "['part1', 'part2']\n", "")


def test_background_process_ignores_ctrl_c(pipeline: Path) -> None:
    for moment in ("kepipe.terminal", "work", "end"):
        done = ended(pipeline, moment, signal.SIGINT, "ignored")
        assert (done.returncode, done.stderr) == (0, "")
