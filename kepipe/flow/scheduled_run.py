"""One firing of a schedule: a pipeline run in a process of its own, under the lock of its pipeline."""

from __future__ import annotations

import fcntl
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from kepipe.files import replacing
from kepipe.flow.artifact import hash_json

COMMAND: Sequence[str] = (sys.executable, "-m", "kepipe", "run")
KEPT = 50
"""Logs of firings that are kept for each schedule."""
INTERRUPTED = (130, -signal.SIGINT, -signal.SIGTERM)
"""Exit codes of a run that was told to stop."""


@dataclass(frozen=True)
class Result:
    """How a firing went: `outcome` is "finished", "failed", "stopped", or "skipped" because one was at work."""

    started: float
    """Unix time."""
    seconds: float
    outcome: str
    code: int | None = None
    log: str = ""
    """File of the run's output."""


def fire(workspace: str, name: str, pipeline: str, overrides: Sequence[str]) -> Result:
    """Run a pipeline with its output in `<workspace>/schedule/<name>/<time>.log`. This is what a job calls.

    The run inherits the pipeline's lock: were this process killed, its successor would still find it held.
    """
    folder, started = Path(workspace) / "schedule" / name, time.time()
    folder.mkdir(parents=True, exist_ok=True)
    with _lock(Path(workspace), Path(pipeline)) as handle:
        if handle is None:
            return _keep(folder, Result(started, 0.0, "skipped"))
        log = folder / f"{datetime.fromtimestamp(started):%Y%m%d-%H%M%S-%f}.log"
        flags = [flag for assignment in overrides for flag in ("--set", assignment)]
        code = _run([*COMMAND, pipeline, "--workspace", workspace, *flags], log, handle)
    outcome = "finished" if code == 0 else "stopped" if code in INTERRUPTED else "failed"
    return _keep(folder, Result(started, time.time() - started, outcome, code, str(log)))


def interrupt_all() -> None:
    """Tell the runs that this process fired to stop. They continue from there at their next firing."""
    for process in list(_WORKING):
        process.send_signal(signal.SIGINT)


def last_result(workspace: Path, name: str) -> Result | None:
    """How the last firing of a schedule went; None before the first one."""
    try:
        return Result(**json.loads((workspace / "schedule" / name / "last.json").read_text()))
    except FileNotFoundError:
        return None


_WORKING: set[subprocess.Popen[bytes]] = set()


def _run(command: Sequence[str], log: Path, handle: int) -> int:
    """Exit code of the command. It has a session of its own: Ctrl-C reaches it once, from us."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            pass_fds=[handle],
            start_new_session=True,
        )
    _WORKING.add(process)
    try:
        return process.wait()
    except KeyboardInterrupt:
        process.send_signal(signal.SIGINT)
        return process.wait()
    finally:
        _WORKING.discard(process)


def _keep(folder: Path, result: Result) -> Result:
    """Note a result for `last_result`, and keep only the newest logs. A firing that was skipped changes nothing."""
    if result.outcome != "skipped":
        with replacing(folder / "last.json", concurrent=True) as unfinished:
            unfinished.write_text(json.dumps(asdict(result)))
    for old in sorted(folder.glob("*.log"))[:-KEPT]:
        old.unlink(missing_ok=True)
    return result


@contextmanager
def _lock(workspace: Path, pipeline: Path) -> Iterator[int | None]:
    """The open, locked lock file of a pipeline; None where a firing of it is at work."""
    file = workspace / "schedule" / "locks" / f"{pipeline.stem}-{hash_json(str(pipeline))[:8]}"
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield None
            return
        yield stream.fileno()
