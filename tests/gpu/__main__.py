"""Check kepipe on a GPU, in minutes, without network: a table, `gpu-check.json` and `gpu-check.png`.

    python -m tests.gpu [--device auto] [--smoke] [--only NAME …] [--minutes 6] [--out FOLDER]

Each row says what it proves; what needs more than this machine has is left out with the reason. Ends with 1 where a
row failed. `--smoke`: sizes that a CPU takes in seconds, so that every row can be tried without a GPU.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import torch

from kepipe.device import resolve
from tests.gpu import parity, speed, stages, training
from tests.gpu.check import Outcome, Setting, outcomes
from tests.gpu.picture import draw

CHECKS = (*parity.CHECKS, *training.CHECKS, *stages.CHECKS, *speed.CHECKS)


def machine(device: str) -> dict[str, str]:
    """What the figures were measured on."""
    on_gpu = device.startswith("cuda")
    return {
        "device": torch.cuda.get_device_name(device) if on_gpu else f"{device} ({platform.machine()})",
        "torch": torch.__version__,
        "cuda": str(torch.version.cuda) if on_gpu else "none",
        "when": time.strftime("%Y-%m-%d"),
    }


def line(outcome: Outcome) -> str:
    """A row of the table, without its figures."""
    head = f"{outcome.status:9} {outcome.check.name:18} {outcome.seconds:6.1f} s  {outcome.check.proves}"
    return f"{head}\n{'':10}{outcome.reason}" if outcome.reason else head


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the checks; returns 1 if one failed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--device", default="auto")
    parser.add_argument("--smoke", action="store_true", help="tiny sizes")
    parser.add_argument("--only", nargs="+", choices=[check.name for check in CHECKS], metavar="NAME")
    parser.add_argument("--minutes", type=float, default=6.0)
    parser.add_argument("--out", type=Path, default=Path())
    options = parser.parse_args(arguments)
    os.environ.setdefault(
        "CUBLAS_WORKSPACE_CONFIG", ":4096:8"
    )  # deterministic mode asks for it, before first use
    device = resolve(options.device)
    checks = [check for check in CHECKS if not options.only or check.name in options.only]
    found = []
    with tempfile.TemporaryDirectory() as folder:
        setting = Setting(device, options.smoke, Path(folder))
        for outcome in outcomes(checks, setting, options.minutes):
            print(line(outcome), flush=True)
            for name, value in outcome.figures.items():
                print(f"{'':10}{name}: {value if isinstance(value, str) else format(value, ',.4g')}")
            found.append(outcome)
    options.out.mkdir(parents=True, exist_ok=True)
    rows = [
        {"name": one.check.name, "proves": one.check.proves, "status": one.status, "seconds": one.seconds,
         "figures": one.figures, "reason": one.reason}
        for one in found
    ]  # fmt: skip
    report = {"machine": machine(device), "smoke": options.smoke, "checks": rows}
    (options.out / "gpu-check.json").write_text(json.dumps(report, indent=1) + "\n")
    draw(report, options.out / "gpu-check.png")
    return int(any(one.status == "failed" for one in found))


if __name__ == "__main__":
    sys.exit(main())
