"""A check, its setting, and its outcome."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from kepipe.flow.events import Sink
from kepipe.flow.stage import StageContext

Figures = dict[str, float | str]
"""What a check has measured, by name."""


class NotHere(Exception):
    """What a check needs is not on this machine."""


@dataclass(frozen=True)
class Setting:
    """The device, how large things are, and a folder to work in. `tiny`: sizes that take a CPU a second."""

    device: str
    tiny: bool
    folder: Path

    @property
    def on_gpu(self) -> bool:
        """Whether the device is NVIDIA's or AMD's."""
        return self.device.startswith("cuda")

    def context(self, name: str, sink: Sink = lambda _event: None, seed: int = 3) -> StageContext:
        """A place to work, which is as it was left where the name is known."""
        for part in ("out", "scratch"):
            (self.folder / name / part).mkdir(parents=True, exist_ok=True)
        return StageContext(
            self.folder / name / "out", self.folder / name / "scratch", seed, self.device, sink
        )


@dataclass(frozen=True)
class Check:
    """`run` raises AssertionError on failure, and NotHere if it cannot run on this machine."""

    name: str
    proves: str
    run: Callable[[Setting], Figures]


@dataclass(frozen=True)
class Outcome:
    """What came of a check: passed, failed, or left out, with the reason."""

    check: Check
    status: str
    seconds: float = 0.0
    figures: Figures = field(default_factory=dict)
    reason: str = ""


def outcomes(checks: Iterable[Check], setting: Setting, minutes: float) -> Iterator[Outcome]:
    """One check after the other; those that would begin after `minutes` are left out."""
    end = time.monotonic() + 60 * minutes
    for check in checks:
        if time.monotonic() >= end:
            yield Outcome(check, "left out", reason=f"the {minutes:g} minutes were over")
            continue
        yield outcome(check, setting)


def outcome(check: Check, setting: Setting) -> Outcome:
    """Run a check; an exception is its outcome, so that the others run too."""
    began, figures, status, reason = time.monotonic(), Figures(), "passed", ""
    try:
        figures = check.run(setting)
    except NotHere as error:
        status, reason = "left out", str(error)
    except Exception as error:
        status, reason = "failed", f"{type(error).__name__}: {error}".splitlines()[0]
        traceback.print_exc()
    return Outcome(check, status, time.monotonic() - began, figures, reason)
