"""The stage contract: a typed function `(inputs, config, context) → files`, with a name and a version."""

from __future__ import annotations

import types
import typing
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from functools import cache, partial, wraps
from pathlib import Path
from typing import Any, Generic, NamedTuple, TypeVar, cast

from kepipe.config import ConfigConflict, Section
from kepipe.flow.artifact import Artifact
from kepipe.flow.events import Dataset, Event, Metrics, ModelOffered, Noted, Progressed, Sink

C = TypeVar("C", bound=Section)
I = TypeVar("I")  # noqa: E741
T = TypeVar("T")
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
    memo: Path | None = None
    """A folder that stays from run to run, for parts of the work that need not be done twice. What is found there must
    be what would be made: it decides how long a stage takes, never what it writes. None: nothing is kept."""

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
    """An input of a stage: what it takes, whether several of them, whether none will do, and whether those are taken
    that are there, and none is made for it."""

    takes: type[Artifact]
    several: bool = False
    optional: bool = False
    if_there: bool = False


@dataclass(frozen=True)
class Planned:
    """A stage of a pipeline file before anything runs: its settings, and the stages that will fill its inputs."""

    name: str
    config: Any
    inputs: Mapping[str, Sequence[Planned]]
    stage: Stage[Any, Any] | None = None
    _answers: dict[object, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    @property
    def figures(self) -> Collection[str] | None:
        """See `Stage.figures`."""
        return None if self.stage is None else self.stage.figures(self)

    def given(self, slot: str) -> Planned | None:
        """The stage that fills an input; None where none does."""
        return next(iter(self.inputs.get(slot, ())), None)


def along(slot: str) -> Callable[[Callable[[Planned], T]], Callable[[Planned], T]]:
    """For a function of a stage that asks itself of the stage which fills an input: however many stages follow upon
    each other, it is answered from the first on, each once. So no depth is too great, and time grows with their number.
    """

    def decorate(function: Callable[[Planned], T]) -> Callable[[Planned], T]:
        @wraps(function)
        def answer(stage: Planned) -> T:
            chain = [stage]
            while function not in chain[-1]._answers and (before := chain[-1].given(slot)) is not None:
                chain.append(before)
            for each in reversed(chain):
                if function not in each._answers:
                    each._answers[function] = function(each)
            found: T = stage._answers[function]
            return found

        return answer

    return decorate


@dataclass(frozen=True)
class Stage(Generic[I, C]):
    """One kind of work.

    `inputs` is a frozen dataclass whose fields are Artifact subclasses, or tuples of them; the runner fills
    each by its type from the stages before; `tuple[Vectors, ...] = ()` takes what is there, and has none made. A field
    `Model | None = None` is filled only where the pipeline's
    `inputs` names what with; what is named may be of a subclass. `fingerprint` digests data outside the store (the
    user's files); it becomes part of the key. `conflicts` tells of settings that do not go together, as far as a
    pipeline file alone says: it is asked before any stage runs. `needs`: optional inputs that the settings ask for,
    or what the pipeline names for other inputs (input → what is made for it), which are then filled by their type as
    the others are. `repeat`: what is done again, with the artifact in
    `context.out`, where the stage is cached: for one whose work is felt outside the store. `figures`: names of the
    values that it will have, in its scores and logged, with `*` for what the data decides; None: not known before.
    `inspect`: looks at the beginning of the user's files before any stage runs, and says what may be wrong with them.
    `adopt`: the settings, with those left open filled in that follow from which inputs are filled and from the settings
    of the stages that take what this one makes. `variants`: of settings that stand for several stages, what is put to
    the stage's name for each → its settings.
    """

    name: str
    version: int
    inputs: type[I]
    config: type[C]
    makes: type[Artifact]
    run: Callable[[I, C, StageContext], None]
    fingerprint: Callable[[C], Mapping[str, str]] = field(default=lambda _: {})
    conflicts: Callable[[Planned], Iterable[ConfigConflict]] = field(default=lambda _: ())
    needs: Callable[[C, Mapping[str, type[Artifact]]], Collection[str]] = field(default=lambda *_: ())
    repeat: Callable[[I, C, StageContext], None] = field(default=lambda *_: None)
    figures: Callable[[Planned], Collection[str] | None] = field(default=lambda _: None)
    inspect: Callable[[Planned], Iterable[str]] = field(default=lambda _: ())
    adopt: Callable[[C, Collection[str], Sequence[Section]], C] = field(default=lambda config, *_: config)
    variants: Callable[[C], Mapping[str, C]] = field(default=lambda _: {})

    def slots(self) -> Mapping[str, Slot]:
        """The inputs by name."""
        return _slots(self.name, cast(Any, self.inputs))


@cache
def _slots(stage: str, inputs: Any) -> Mapping[str, Slot]:
    hints = typing.get_type_hints(inputs)
    slots = {}
    for slot in fields(inputs):
        hint, several, optional = hints[slot.name], False, False
        if_there = slot.default == ()
        if typing.get_origin(hint) is tuple:
            hint, several = typing.get_args(hint)[0], True
        elif type(None) in typing.get_args(hint):
            hint, optional = typing.get_args(hint)[0], True
        if isinstance(hint, types.GenericAlias) or not issubclass(hint, Artifact):
            raise TypeError(f"stage {stage}: input {slot.name} must be an Artifact, not {hint}")
        slots[slot.name] = Slot(hint, several, optional, if_there)
    return types.MappingProxyType(slots)


@dataclass(frozen=True)
class Nothing:
    """The inputs of a stage that has none."""
