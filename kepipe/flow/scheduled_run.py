"""One run of a scheduled pipeline, in a process of its own, under the lock of its pipeline."""

from __future__ import annotations

import fcntl
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from kepipe.flow.artifact import hash_json
from kepipe.flow.history import Result
from kepipe.flow.schedule import Schedule

COMMAND: Sequence[str] = (sys.executable, "-m", "kepipe", "run")
KEPT = 50
"""Logs of runs that are kept for each schedule."""
INTERRUPTED = (130, -signal.SIGINT, -signal.SIGTERM)
"""Exit codes of a run that was told to stop."""
GRACE = 60.0
"""Seconds that a run that was told to stop has for it, before it is killed."""


def run_pipeline(workspace: Path, name: str, schedule: Schedule, inherit: Sequence[int] = ()) -> Result:
    """Run a pipeline with its output in `<workspace>/schedule/<name>/<time>.log`.

    The run inherits the pipeline's lock, and the handles of `inherit`: were this process killed, its successor would
    still find them held. Out of time, it is told to stop, and continues from there when it is run again.
    """
    folder, started = workspace / "schedule" / name, time.time()
    folder.mkdir(parents=True, exist_ok=True)
    with pipeline_lock(workspace, Path(schedule.pipeline)) as handle:
        if handle is None:
            return Result(started, 0.0, "skipped")
        log = folder / f"{datetime.fromtimestamp(started):%Y%m%d-%H%M%S-%f}.log"
        flags = [flag for assignment in schedule.overrides for flag in ("--set", assignment)]
        command = [*COMMAND, schedule.pipeline, "--workspace", str(workspace), *flags]
        code, late = _run(command, log, [handle, *inherit], schedule.timeout)
    for old in sorted(folder.glob("*.log"))[:-KEPT]:
        old.unlink(missing_ok=True)
    outcome = "finished" if code == 0 else "stopped" if code in INTERRUPTED else "failed"
    outcome = "timed out" if late and code else outcome
    return Result(started, time.time() - started, outcome, code, str(log))


def interrupt_all() -> None:
    """Tell the runs that this process started to stop. They continue from there when they are run again."""
    for process in list(_WORKING):
        process.send_signal(signal.SIGINT)


_WORKING: set[subprocess.Popen[bytes]] = set()


def _run(
    command: Sequence[str], log: Path, handles: Sequence[int], timeout: float | None
) -> tuple[int, bool]:
    """Exit code of the command, and whether its time was up. It has a session of its own: Ctrl-C reaches it once,
    from us."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            pass_fds=handles,
            start_new_session=True,
        )
    _WORKING.add(process)
    try:
        return process.wait(timeout), False
    except subprocess.TimeoutExpired:
        return _stop(process), True
    except KeyboardInterrupt:
        return _stop(process), False
    finally:
        _WORKING.discard(process)


def _stop(process: subprocess.Popen[bytes]) -> int:
    """Exit code of a run that is told to stop: by SIGTERM, which it takes as Ctrl-C, and which is heard also where this
    process was started in a shell's background, with Ctrl-C ignored."""
    process.terminate()
    try:
        return process.wait(GRACE)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()


@contextmanager
def pipeline_lock(workspace: Path, pipeline: Path) -> Iterator[int | None]:
    """The open, locked lock file of a pipeline; None where a run of it is at work."""
    with locked(
        workspace / "schedule" / "locks" / f"{pipeline.stem}-{hash_json(str(pipeline))[:8]}"
    ) as handle:
        yield handle


@contextmanager
def locked(file: Path) -> Iterator[int | None]:
    """A lock file, open and locked until all processes that inherited it have ended; None where others hold it."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield None
            return
        yield stream.fileno()
