"""A three-stage flow of tiny real stages: write a number, double it, add up several."""

from __future__ import annotations

import json
from dataclasses import dataclass

from kepipe.config import Section
from kepipe.flow.artifact import Artifact
from kepipe.flow.events import Event
from kepipe.flow.plan import Flow, Node, Workspace
from kepipe.flow.runner import Run, StageSelection
from kepipe.flow.stage import Nothing, Stage, StageContext


class Number(Artifact):
    def value(self) -> int:
        return int(json.loads((self.folder / "value.json").read_text()))


class Doubled(Number):
    pass


class Total(Number):
    pass


class WriteConfig(Section):
    value: int = 1


class DoubleConfig(Section):
    times: int = 1
    parity: bool = False
    """Keep only the parity of the number: different inputs give the same result."""


class AddConfig(Section):
    pass


@dataclass(frozen=True)
class DoubleInputs:
    number: Number


@dataclass(frozen=True)
class AddInputs:
    parts: tuple[Doubled, ...]


def write(inputs: Nothing, config: WriteConfig, context: StageContext) -> None:
    (context.out / "value.json").write_text(str(config.value))
    context.log({"value": config.value})


def double(inputs: DoubleInputs, config: DoubleConfig, context: StageContext) -> None:
    if config.times < 0:
        raise ValueError("times must not be negative")
    value = inputs.number.value() * 2**config.times
    (context.out / "value.json").write_text(str(value % 2 if config.parity else value))


def add(inputs: AddInputs, config: AddConfig, context: StageContext) -> None:
    (context.out / "value.json").write_text(str(sum(part.value() for part in inputs.parts)))


WRITE = Stage("write", 1, Nothing, WriteConfig, Number, write)
DOUBLE = Stage("double", 1, DoubleInputs, DoubleConfig, Doubled, double)
ADD = Stage("add", 1, AddInputs, AddConfig, Total, add)


def flow(value: int = 1, times: int = 1, parity: bool = False) -> Flow:
    nodes = [
        Node("write", WRITE, WriteConfig(value=value), {}),
        Node("double", DOUBLE, DoubleConfig(times=times, parity=parity), {"number": ["write"]}),
        Node("more", DOUBLE, DoubleConfig(times=3), {"number": ["write"]}),
        Node("add", ADD, AddConfig(), {"parts": ["double", "more"]}),
    ]
    return Flow("tiny", 0, "cpu", nodes)


@dataclass
class Bench:
    workspace: Workspace

    def run(
        self, flow: Flow, selection: StageSelection | None = None
    ) -> tuple[dict[str, Artifact], list[Event]]:
        events: list[Event] = []
        artifacts = Run(
            flow, self.workspace, selection or StageSelection(), [events.append], device=lambda: "cpu"
        ).execute()
        return artifacts, events
