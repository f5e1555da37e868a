"""What a model costs where it answers: its size, how long an answer takes, what memory a process of its own holds.

`python -m kepipe.tracking.costs FOLDER` is that process: it prints what it measured as JSON.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Collection
from pathlib import Path

WARM, TIMED = 5, 60
"""Answers before any is timed, and answers that are timed."""
WORDS = "The largest moon of Saturn is a world with a thick atmosphere , lakes and rain , and"
"""What is answered: a sentence."""
SIZE = "cost/size"
MEASURED = ("cost/latency_p95", "cost/memory")
"""What needs a process of its own: milliseconds, and megabytes at the peak."""


def measure(folder: Path, asked: Collection[str]) -> dict[str, float]:
    """Those costs of a model folder that are asked for. Raises ValueError for a model that does not answer."""
    costs: dict[str, float] = {}
    if SIZE in asked:
        costs[SIZE] = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) / 1e6
    if not {*asked}.isdisjoint(MEASURED):
        ended = subprocess.run(
            [sys.executable, "-m", __name__, str(folder)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "CUDA_VISIBLE_DEVICES": ""},
        )
        if ended.returncode:
            why = ended.stderr.strip().splitlines()[-1:] or ["it did not answer"]
            raise ValueError(f"gate: latency and memory cannot be measured: {why[0]}")
        costs |= json.loads(ended.stdout.splitlines()[-1])
    return {name: value for name, value in costs.items() if name in asked}


def _answer(folder: Path) -> dict[str, float]:
    """Latency and memory, of this process."""
    import numpy as np

    from kepipe.tracking.predictors import predictor_of

    row = predictor_of(folder)
    if row is None:
        raise ValueError(f"{folder}: this model neither fills masks, writes nor answers a task")
    model, text = row.load(folder), f"{WORDS} {row.mark(folder)}".strip()
    seconds = []
    for number in range(WARM + TIMED):
        begun = time.perf_counter()
        model.predict([text], {name: param.default for name, param in row.params.items()})
        if number >= WARM:
            seconds.append(time.perf_counter() - begun)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return dict(zip(MEASURED, (float(np.quantile(seconds, 0.95)) * 1e3, peak / 1e6), strict=True))


if __name__ == "__main__":
    from kepipe.terminal import echo

    try:
        echo(json.dumps(_answer(Path(sys.argv[1]))))
    except ValueError as error:
        sys.exit(str(error))
