"""Inference costs of a model: size on disk, latency, memory.

Latency and memory are measured in a separate process, `python -m kepipe.tracking.costs FOLDER`, which prints them as
JSON.
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

WARMUP_CALLS, TIMED_CALLS = 5, 60
"""Predictions before timing starts, and timed predictions."""
WORDS = "The largest moon of Saturn is a world with a thick atmosphere , lakes and rain , and"
"""The input text of each prediction."""
SIZE = "cost/size"
MEASURED = ("cost/latency_p95", "cost/memory")
"""Costs that are measured in a separate process: milliseconds, and peak megabytes."""


def measure(folder: Path, names: Collection[str]) -> dict[str, float]:
    """The named costs of a model folder. Raises ValueError for a model that cannot predict."""
    costs: dict[str, float] = {}
    if SIZE in names:
        costs[SIZE] = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) / 1e6
    if not {*names}.isdisjoint(MEASURED):
        ended = subprocess.run(
            [sys.executable, "-m", __name__, str(folder)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "CUDA_VISIBLE_DEVICES": ""},
        )
        if ended.returncode:
            why = ended.stderr.strip().splitlines()[-1:] or ["the process printed no error"]
            raise ValueError(f"gate: latency and memory cannot be measured: {why[0]}")
        costs |= json.loads(ended.stdout.splitlines()[-1])
    return {name: value for name, value in costs.items() if name in names}


def _measure_inference(folder: Path) -> dict[str, float]:
    """Latency and peak memory of predictions in this process."""
    import numpy as np

    from kepipe.tracking.predictors import require_predictor

    row = require_predictor(folder)
    model, text = row.load(folder), f"{WORDS} {row.mask_token(folder)}".strip()
    seconds = []
    for number in range(WARMUP_CALLS + TIMED_CALLS):
        start = time.perf_counter()
        model.predict([text], {name: param.default for name, param in row.params.items()})
        if number >= WARMUP_CALLS:
            seconds.append(time.perf_counter() - start)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return dict(zip(MEASURED, (float(np.quantile(seconds, 0.95)) * 1e3, peak / 1e6), strict=True))


if __name__ == "__main__":
    from kepipe.terminal import echo

    try:
        echo(json.dumps(_measure_inference(Path(sys.argv[1]))))
    except ValueError as error:
        sys.exit(str(error))
