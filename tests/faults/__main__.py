"""Runs the fault cases: `python -m tests.faults [--kills 60] [--longest 6] [--seed 0] [--case NAME]` (`make faults`).

Kills scheduler, runs, deliveries, the tracking server and the artifact server with `kill -9` at random times, and
tries each other fault once. Ends with 1 where something was lost, done twice, or left in a state that is none.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from tests.faults.cases import CASES, kills, why_not


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--kills", type=int, default=60)
    parser.add_argument(
        "--longest", type=float, default=6.0, help="Seconds between kills; more on a busy machine."
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--case", action="append", help="Only this one; several may be given.")
    given = parser.parse_args()
    tried: dict[str, Callable[[Path], Iterator[str]]] = {
        f"{given.kills} kills": partial(
            kills, count=given.kills, seed=given.seed, server=True, longest=given.longest
        ), **CASES
    }  # fmt: skip
    wrong = False
    for name, case in tried.items():
        if given.case and not any(each in name for each in given.case):
            continue
        if reason := why_not(name):
            print(f"{name:<28} not tried: {reason}", flush=True)
            continue
        begun = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="faults-") as folder:
            found = list(case(Path(folder).resolve()))
        wrong |= bool(found)
        print(f"{name:<28} {'WRONG' if found else 'fine':<6} {time.monotonic() - begun:>7.0f} s", flush=True)
        for each in found:
            print(f"  {each}", flush=True)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
