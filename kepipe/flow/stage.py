"""Stages: a typed function `(inputs, config, context) → files` with a name and a version."""

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


def noop() -> None:
    """Do nothing."""


@dataclass(frozen=True)
class StageContext:
    """A stage's folders, seed and device, and its channel for events.

    Files written to `out` become the artifact. `scratch` survives a kill and is deleted when the stage finishes:
    it holds checkpoints, from which a stage resumes.
    """

    out: Path
    scratch: Path
    seed: int
    device: str
    sink: Sink
    stamp: Mapping[str, Any] = field(default_factory=dict)
    """Fields of every event of this stage: run and stage."""
    sources_read: Callable[[], None] = noop
    """To be called by a long-running stage once it has read the user's files, which may change from then on. Without
    the call they must not change before the stage ends. Raises SourcesChangedError."""
    memo: Path | None = None
    """A cache folder that persists between runs. It may only change how long a stage takes, never what it writes. None:
    no cache."""

    def emit(self, event_type: Callable[..., Event], **values: Any) -> None:
        """Send an event to the sink: `context.emit(Noted, level="info", message="…")`."""
        self.sink(event_type(**self.stamp, **values))

    def log(self, values: Mapping[str, float], step: int | None = None) -> None:
        """Log metrics. A step that is logged again after a resume replaces the earlier one."""
        self.emit(Metrics, values={name: float(value) for name, value in values.items()}, step=step)

    def note(self, message: str) -> None:
        """Show the user a message."""
        self.emit(Noted, level="info", message=message)

    def warn(self, message: str) -> None:
        """Show the user a warning."""
        self.emit(Noted, level="warning", message=message)

    def dataset(self, name: str, digest: str, profile: Mapping[str, int | float | str]) -> None:
        """Log a dataset that was read."""
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
    """An input of a stage: the artifact type it takes; `several`: any number of them; `optional`: it may stay empty;
    `if_available`: it takes the artifacts that the pipeline makes anyway, and never adds a stage to make one."""

    takes: type[Artifact]
    several: bool = False
    optional: bool = False
    if_available: bool = False


@dataclass(frozen=True)
class Planned:
    """A stage of a pipeline file before the run: its settings, and the stages that will fill its inputs."""

    name: str
    config: Any
    inputs: Mapping[str, Sequence[Planned]]
    stage: Stage[Any, Any] | None = None
    _memo: dict[object, Any] = field(default_factory=dict, init=False, repr=False, compare=False)

    @property
    def figures(self) -> Collection[str] | None:
        """See `Stage.figures`."""
        return None if self.stage is None else self.stage.figures(self)

    def input(self, slot: str) -> Planned | None:
        """The stage that fills an input; None if it is empty."""
        return next(iter(self.inputs.get(slot, ())), None)


def memoize_along(slot: str) -> Callable[[Callable[[Planned], T]], Callable[[Planned], T]]:
    """Decorator for a function of a stage that calls itself on the stage that fills input `slot`.

    It evaluates the chain iteratively from its first stage on, each stage once: chains of any length work without deep
    recursion, in linear time.
    """

    def decorate(function: Callable[[Planned], T]) -> Callable[[Planned], T]:
        @wraps(function)
        def memoized(stage: Planned) -> T:
            chain = [stage]
            while function not in chain[-1]._memo and (before := chain[-1].input(slot)) is not None:
                chain.append(before)
            for each in reversed(chain):
                if function not in each._memo:
                    each._memo[function] = function(each)
            result: T = stage._memo[function]
            return result

        return memoized

    return decorate


@dataclass(frozen=True)
class Stage(Generic[I, C]):
    """A kind of stage.

    `inputs`: a frozen dataclass whose fields are Artifact subclasses or tuples of them. The runner fills each by type
    from the upstream stages. `tuple[Vectors, ...] = ()` takes the artifacts that the pipeline makes anyway;
    `Model | None = None` is filled only if the pipeline's `inputs` names a stage, whose artifact may be of a subclass.
    `makes`: the type of the artifact. `fingerprint`: digests of data outside the store (the user's files), part of the
    cache key.

    These are called before any stage runs. `conflicts`: settings that are incompatible, as far as the pipeline file
    shows. `needs`: names of optional inputs that the settings, or the stages named for other inputs (input → artifact
    type), require; they are then filled by type like the others. `figures`: names of the metrics in its scores and
    logs, with `*` for parts that depend on the data; None: unknown in advance. `inspect`: reads the beginning of the
    user's files and returns warnings. `infer_defaults`: the settings with defaults filled in that depend on which
    inputs are filled and on the settings of the downstream stages. `variants`: for settings that expand to several
    stages, suffix of the stage's name → its settings.

    `on_cached`: called instead of `run`, with the artifact in `context.out`, when the stage is cached; for a stage with
    effects outside the store.
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
    on_cached: Callable[[I, C, StageContext], None] = field(default=lambda *_: None)
    figures: Callable[[Planned], Collection[str] | None] = field(default=lambda _: None)
    inspect: Callable[[Planned], Iterable[str]] = field(default=lambda _: ())
    infer_defaults: Callable[[C, Collection[str], Sequence[Section]], C] = field(
        default=lambda config, *_: config
    )
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
        if_available = slot.default == ()
        if typing.get_origin(hint) is tuple:
            hint, several = typing.get_args(hint)[0], True
        elif type(None) in typing.get_args(hint):
            hint, optional = typing.get_args(hint)[0], True
        if isinstance(hint, types.GenericAlias) or not issubclass(hint, Artifact):
            raise TypeError(f"stage {stage}: input {slot.name} must be an Artifact, not {hint}")
        slots[slot.name] = Slot(hint, several, optional, if_available)
    return types.MappingProxyType(slots)


@dataclass(frozen=True)
class Nothing:
    """The inputs of a stage without inputs."""
