"""One run of a scheduled pipeline, in its own process, under the lock of the pipeline."""

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
"""Number of logs kept for each schedule."""
INTERRUPTED = (130, -signal.SIGINT, -signal.SIGTERM)
"""Exit codes of a run that was interrupted."""
GRACE = 60.0
"""Seconds between the signal to stop and the kill."""


def run_pipeline(workspace: Path, name: str, schedule: Schedule, inherit: Sequence[int] = ()) -> Result:
    """Run a pipeline with its output in `<workspace>/schedule/<name>/<time>.log`.

    The run inherits the pipeline's lock and the file descriptors `inherit`, so that they stay locked if this process is
    killed. After the timeout the run is interrupted; the next run resumes it.
    """
    folder, started = workspace / "schedule" / name, time.time()
    folder.mkdir(parents=True, exist_ok=True)
    with pipeline_lock(workspace, Path(schedule.pipeline)) as handle:
        if handle is None:
            return Result(started, 0.0, "skipped")
        log = folder / f"{datetime.fromtimestamp(started):%Y%m%d-%H%M%S-%f}.log"
        flags = [flag for assignment in schedule.overrides for flag in ("--set", assignment)]
        command = [*COMMAND, schedule.pipeline, "--workspace", str(workspace), *flags]
        code, timed_out = _run(command, log, [handle, *inherit], schedule.timeout)
    for old in sorted(folder.glob("*.log"))[:-KEPT]:
        old.unlink(missing_ok=True)
    outcome = "finished" if code == 0 else "stopped" if code in INTERRUPTED else "failed"
    outcome = "timed out" if timed_out and code else outcome
    return Result(started, time.time() - started, outcome, code, str(log))


def interrupt_all() -> None:
    """Interrupt the runs that this process started. The next run of each resumes it."""
    for process in list(_RUNNING):
        process.send_signal(signal.SIGINT)


_RUNNING: set[subprocess.Popen[bytes]] = set()


def _run(
    command: Sequence[str], log: Path, handles: Sequence[int], timeout: float | None
) -> tuple[int, bool]:
    """Exit code of the command, and whether it timed out. The command runs in its own session, so that Ctrl-C reaches
    it only through this process."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            pass_fds=handles,
            start_new_session=True,
        )
    _RUNNING.add(process)
    try:
        return process.wait(timeout), False
    except subprocess.TimeoutExpired:
        return stop(process), True
    except KeyboardInterrupt:
        return stop(process), False
    finally:
        _RUNNING.discard(process)


def stop(process: subprocess.Popen[bytes]) -> int:
    """Stop a run and return its exit code. SIGTERM is handled like Ctrl-C, and also works if this process was started
    in the background of a shell, where SIGINT is ignored."""
    process.terminate()
    try:
        return process.wait(GRACE)
    except subprocess.TimeoutExpired:
        process.kill()
        return process.wait()


@contextmanager
def pipeline_lock(workspace: Path, pipeline: Path) -> Iterator[int | None]:
    """File descriptor of the pipeline's lock file, locked; None if a run of the pipeline is in progress."""
    with locked(
        workspace / "schedule" / "locks" / f"{pipeline.stem}-{hash_json(str(pipeline))[:8]}"
    ) as handle:
        yield handle


@contextmanager
def locked(file: Path) -> Iterator[int | None]:
    """A lock file, open and locked until all processes that inherited it have ended; None if another process holds
    it."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield None
            return
        yield stream.fileno()
