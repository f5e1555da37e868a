"""Commands of kepipe where a folder is read-only: mounted so in a namespace of their own, since root may write anyway.

`python -m tests.support.read_only` reads commands as JSON and writes their exit codes and outputs.
"""

from __future__ import annotations

import functools
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests.support.waiting import TIMEOUT

_MOUNT = 'mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && exec "$@"'


def call_read_only(folder: Path, *commands: Sequence[object]) -> list[tuple[int, str]]:
    """Exit code and output of each command of kepipe, with `folder` read-only. Skips the test where that cannot be."""
    if not _may_mount():
        pytest.skip("no user namespaces, in which a folder can be mounted read-only")
    # of a store that an earlier test connected to
    own = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_")}
    words = json.dumps([list(map(str, command)) for command in commands])
    inner = [sys.executable, "-m", "tests.support.read_only"]
    done = subprocess.run(
        _mounted(folder, inner), input=words, env=own, capture_output=True, text=True, timeout=TIMEOUT
    )
    assert done.returncode == 0, done.stderr
    return [(code, output) for code, output in json.loads(done.stdout.splitlines()[-1])]


def _mounted(folder: Path, command: Sequence[str]) -> list[str]:
    return ["unshare", "--map-root-user", "--mount", "sh", "-c", _MOUNT, str(folder), *command]


@functools.cache
def _may_mount() -> bool:
    try:
        return subprocess.run(_mounted(Path(__file__).parent, ["true"]), capture_output=True).returncode == 0
    except OSError:
        return False


def _main() -> None:
    from typer.testing import CliRunner

    from kepipe.cli import app

    done = []
    for command in json.load(sys.stdin):
        result = CliRunner().invoke(app, command)
        failed = result.exception is not None and not isinstance(result.exception, SystemExit)
        done.append((result.exit_code, f"{result.output}{result.exception if failed else ''}"))
    print(json.dumps(done))


if __name__ == "__main__":
    _main()
