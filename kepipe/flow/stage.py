"""The stage contract: a typed function `(inputs, config, context) → files`, with a name and a version."""

from __future__ import annotations

import types
import typing
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from functools import partial
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar, cast

from kepipe.config import ConfigConflict, Section
from kepipe.flow.artifact import Artifact
from kepipe.flow.events import Dataset, Event, Metrics, ModelOffered, Noted, Progressed, Sink

C = TypeVar("C", bound=Section)
I = TypeVar("I")  # noqa: E741
Tick = Callable[[int], None]
"""Call with the number of units just done."""


class SourcesChangedError(ValueError):
    """The user's files changed while a stage was reading them."""


def nothing() -> None:
    """Do nothing."""


@dataclass(frozen=True)
class StageContext:
    """Where a stage works and how it speaks.

    What it writes to `out` becomes the artifact. `scratch` survives a kill and is thrown away at the end:
    checkpoints go there, and a stage that finds some continues from them.
    """

    out: Path
    scratch: Path
    seed: int
    device: str
    sink: Sink
    stamp: Mapping[str, Any] = field(default_factory=dict)
    """Fields that every event of this stage carries: run and stage."""
    sources_read: Callable[[], None] = nothing
    """A stage that works on for long may say when it has read the user's files: what becomes of them later does not
    concern it. Of one that does not, they must not change before its end. Raises SourcesChangedError."""

    def emit(self, make: Callable[..., Event], **values: Any) -> None:
        """Tell whoever listens: `context.emit(Noted, level="info", message="…")`."""
        self.sink(make(**self.stamp, **values))

    def log(self, values: Mapping[str, float], step: int | None = None) -> None:
        """Record measured values. After a resume, a step logged before is replaced, not doubled."""
        self.emit(Metrics, values={name: float(value) for name, value in values.items()}, step=step)

    def note(self, message: str) -> None:
        """Tell the user something."""
        self.emit(Noted, level="info", message=message)

    def warn(self, message: str) -> None:
        """Tell the user about something that may be wrong."""
        self.emit(Noted, level="warning", message=message)

    def dataset(self, name: str, digest: str, profile: Mapping[str, int | float | str]) -> None:
        """Record which data was read."""
        self.emit(Dataset, name=name, digest=digest, profile=profile)

    def offer_model(self, **values: Any) -> None:
        """Offer a model to the registry (fields of `ModelOffered`)."""
        self.emit(ModelOffered, **values)

    @contextmanager
    def progress(self, what: str, total: int | None = None, unit: str = "", done: int = 0) -> Iterator[Tick]:
        """A progress bar: `with context.progress("linking", 106, "documents") as tick: … tick(1)`."""
        state = done
        emit = partial(self.emit, Progressed, what=what, total=total, unit=unit)
        emit(done=state)

        def tick(count: int = 1) -> None:
            nonlocal state
            state += count
            emit(done=state)

        yield tick
        emit(done=state if total is None else total)


class Slot(NamedTuple):
    """An input of a stage: what it takes, whether several of them, and whether none will do."""

    takes: type[Artifact]
    several: bool = False
    optional: bool = False


@dataclass(frozen=True)
class Planned:
    """A stage of a pipeline file before anything runs: its settings, and the stages that will fill its inputs."""

    name: str
    config: Any
    inputs: Mapping[str, Sequence[Planned]]

    def given(self, slot: str) -> Planned | None:
        """The stage that fills an input; None where none does."""
        return next(iter(self.inputs.get(slot, ())), None)


@dataclass(frozen=True)
class Stage(Generic[I, C]):
    """One kind of work.

    `inputs` is a frozen dataclass whose fields are Artifact subclasses, or tuples of them; the runner fills
    each by its type from the stages before. A field `Model | None = None` is filled only where the pipeline's
    `inputs` names what with; what is named may be of a subclass. `fingerprint` digests data outside the store (the
    user's files); it becomes part of the key. `conflicts` tells of settings that do not go together, as far as a
    pipeline file alone says: it is asked before any stage runs. `needs`: optional inputs that the settings ask for,
    which are then filled by their type as the others are. `repeat`: what is done again, with the artifact in
    `context.out`, where the stage is cached: for one whose work is felt outside the store.
    """

    name: str
    version: int
    inputs: type[I]
    config: type[C]
    makes: type[Artifact]
    run: Callable[[I, C, StageContext], None]
    fingerprint: Callable[[C], Mapping[str, str]] = field(default=lambda _: {})
    conflicts: Callable[[Planned], Iterable[ConfigConflict]] = field(default=lambda _: ())
    needs: Callable[[C], Collection[str]] = field(default=lambda _: ())
    repeat: Callable[[I, C, StageContext], None] = field(default=lambda *_: None)

    def slots(self) -> dict[str, Slot]:
        """The inputs by name."""
        hints = typing.get_type_hints(self.inputs)
        slots = {}
        for slot in fields(cast(Any, self.inputs)):
            hint, several, optional = hints[slot.name], False, False
            if typing.get_origin(hint) is tuple:
                hint, several = typing.get_args(hint)[0], True
            elif type(None) in typing.get_args(hint):
                hint, optional = typing.get_args(hint)[0], True
            if isinstance(hint, types.GenericAlias) or not issubclass(hint, Artifact):
                raise TypeError(f"stage {self.name}: input {slot.name} must be an Artifact, not {hint}")
            slots[slot.name] = Slot(hint, several, optional)
        return slots


@dataclass(frozen=True)
class Nothing:
    """The inputs of a stage that has none."""
