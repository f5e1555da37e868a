"""The section `study:` → nodes: stages copied for each arm and seed, where they differ, and one that compares."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from kepipe.config import ConfigError, Key, Section, Settings, suggest
from kepipe.flow.plan import Node
from kepipe.knowledge.table import CONTROLS
from kepipe.pipeline.arms import Arm, make_arms, make_controls
from kepipe.pipeline.copies import Copies, marks_of
from kepipe.pipeline.variants import spread
from kepipe.pipeline.wiring import Entries, is_variation, wire
from kepipe.stages.artifacts import Model
from kepipe.stages.study import STUDY
from kepipe.studies.design import DATA_SETTINGS, Copy, Design, Measure, better_by_name

NAME = "study"


class Figure(Section):
    """A figure of a stage's result."""

    metric: str
    """`split/metric` or `probe/metric` in the stage's `scores.json`, or the name of a value that it logs."""
    better: Literal["higher", "lower"] | None = None
    """Which values are better; none: told by the name (a loss: lower)."""


def _as_list(value: Any) -> Any:
    items = value if isinstance(value, list) else [value]
    return [{"metric": item} if isinstance(item, str) else item for item in items]


def _as_group(value: Any) -> Any:
    return {} if value is None else value


Figures = Annotated[list[Figure], BeforeValidator(_as_list)]
"""One, or several; a name alone will do."""
Changed = Annotated[dict[str, Any], BeforeValidator(_as_group)]
"""Settings of a stage; a name with nothing after it changes none."""
Changes = Annotated[dict[str, Changed], BeforeValidator(_as_group)]


class Study(Section):
    """A controlled comparison. Each arm is the pipeline with some settings changed; all get the same seeds."""

    measure: dict[str, Figures] = Field(min_length=1)
    """Stage → what is measured of it. The first figure decides; the others are shown beside it. Several stages of one
    kind with the first are several tasks: the first figure of each decides on it."""
    arms: dict[str, Changes] = Field(default_factory=dict)
    """Arm → stage → settings laid over the stage's own; `{}`: the pipeline as it is."""
    controls: bool | list[str] = False
    """Arms whose knowledge is missing or wrong. `graph-off`, `graph-shuffled` and `names-only` (entities are found and
    marked, no facts) are made as the knowledge methods of the pipeline have them (true: all), and so is `graph-on`
    where no arm is given; other names are those of arms."""
    reference: str | None = None
    """The arm that the others are compared with; none: the first control, else the first arm."""
    seeds: int | list[int] = 3
    """How many seeds, counted from the pipeline's; or a list of them."""
    repeat: list[str] | None = None
    """Stages that draw from each seed; the others keep the pipeline's. None: those that train a model."""
    may_differ: list[str] = Field(default_factory=list)
    """Conditions in which arms are meant to differ, such as `steps` or `shards`; in all others they must be alike."""


def expand(
    study: Study,
    seed: int,
    base: Sequence[Node],
    entries: Entries,
    settings: Settings,
    places: Mapping[str, Key],
) -> list[Node]:
    """The nodes of a pipeline with a study; `base` are those of the pipeline itself, `seed` its seed.

    A stage that is repeated runs as the arms say, and on its own only where a stage outside of the study needs it.
    Raises ConfigError for a mistake in the section, and for arms that would not be trained alike.
    """
    if NAME in entries:
        raise _mistake(settings, (), f"a stage named `{NAME}` stands in its way: rename that")
    for stage in study.measure:
        _known(stage, [node.name for node in base], "stage", settings, ("measure", stage))
    made = make_controls(_up_to(base, study.measure)) if study.controls else {}
    controls = _controls(study, made, settings)
    arms = _arms(study, controls, made, settings)
    whole = spread(base, settings, places)
    base, study = whole.nodes, study.model_copy(update={"measure": whole.each(study.measure)})
    plans = {}
    for arm in arms:
        laid, at = arm.entries(entries, places, settings)
        plans[arm.name] = _up_to(spread(wire(laid, settings, at), settings, at).nodes, study.measure)
    _check_alike(study, plans, settings)
    copies, repeated = Copies(list(plans), seed), _repeated(study, plans, entries, settings)
    marks = {
        (arm, number): copies.add(arm, number, plan, repeated)
        for number in _seeds(study, seed, settings)
        for arm, plan in plans.items()
    }
    studied = {node.name for plan in plans.values() for node in plan}
    kept = _up_to(base, [node.name for node in base if node.name not in studied])
    own = marks_of(base, seed)
    names = copies.names(own, {node.name for node in kept})
    nodes = copies.nodes(names) + [node for node in kept if own[node.name] not in copies.variants]
    design = Design(
        reference=_reference(study, list(plans), controls, settings),
        controls=tuple(controls),
        measures=_measures(study),
        tasks=_tasks(study, base),
        copies=tuple(
            Copy(arm=arm, seed=number, nodes={stage: names[mark] for stage, mark in stages.items()})
            for (arm, number), stages in marks.items()
        ),
        may_differ=tuple(study.may_differ),
        changes={arm.name: arm.told() for arm in arms},
    )
    return [*nodes, Node(NAME, STUDY, design, {"results": _results(nodes, design)})]


def _arms(study: Study, controls: Sequence[str], made: Mapping[str, Arm], settings: Settings) -> list[Arm]:
    if not study.arms and not controls:
        raise _mistake(settings, (), "there is no arm: give `arms`, or `controls: true`")
    try:
        return make_arms(study.arms, controls, made)
    except ValueError as reason:
        raise _mistake(settings, ("controls",) if study.controls else ("arms",), str(reason)) from None


def _controls(study: Study, made: Mapping[str, Arm], settings: Settings) -> list[str]:
    """Names of the control arms. Raises ConfigError for one that is neither made nor given."""
    wanted = list(made) if study.controls is True else study.controls or []
    if (study.controls is True and not wanted) or (
        not made and set(wanted) & set(CONTROLS) - study.arms.keys()
    ):
        raise _mistake(
            settings,
            ("controls",),
            "no stage that is measured has `knowledge`: there is nothing to leave out or to put wrong",
        )
    for name in wanted:
        _known(name, [*study.arms, *made], "arm", settings, ("controls",))
    return wanted


def _reference(study: Study, arms: Sequence[str], controls: Sequence[str], settings: Settings) -> str:
    if study.reference is None:
        return controls[0] if controls else arms[0]
    _known(study.reference, arms, "arm", settings, ("reference",))
    return study.reference


def _seeds(study: Study, first: int, settings: Settings) -> list[int]:
    seeds = study.seeds if isinstance(study.seeds, list) else list(range(first, first + study.seeds))
    if not seeds or len(set(seeds)) < len(seeds) or min(seeds) < 0:
        raise _mistake(settings, ("seeds",), "expected at least one seed, each from 0 up and given once")
    return seeds


def _repeated(
    study: Study, plans: Mapping[str, Sequence[Node]], entries: Entries, settings: Settings
) -> list[str]:
    """Names of the stages that draw from the study's seeds: those named, and what shuffles for a control; where none
    are named, those that train, and all that vary what they take."""
    stages = {node.name: node.stage for plan in plans.values() for node in plan}
    for name in study.repeat or ():
        _known(name, list(stages), "stage that is measured or needed for it", settings, ("repeat",))
    varying = [name for name, stage in stages.items() if is_variation(stage)]
    if study.repeat is not None:
        return [*study.repeat, *(name for name in varying if name not in entries)]
    return [*varying, *(name for name, stage in stages.items() if issubclass(stage.makes, Model))]


def _check_alike(study: Study, plans: Mapping[str, Sequence[Node]], settings: Settings) -> None:
    """Refuse arms whose settings give a model another amount or order of data, before hours are spent on them."""
    seen: dict[tuple[str, str], tuple[str, Any]] = {}
    for arm, plan in plans.items():
        for node in (node for node in plan if issubclass(node.stage.makes, Model)):
            for name in DATA_SETTINGS:
                if name in study.may_differ or not hasattr(node.config, name):
                    continue
                value = getattr(node.config, name)
                other, before = seen.setdefault((node.name, name), (arm, value))
                if before != value:
                    raise _mistake(
                        settings,
                        ("arms", arm),
                        f"`{node.name}.{name}` is {before} in arm `{other}` and {value} in arm `{arm}`: they differ in "
                        f"more than what they know; if that is meant, say `may_differ: [{name}]`",
                    )


def _measures(study: Study) -> tuple[Measure, ...]:
    return tuple(
        Measure(stage=stage, metric=figure.metric, better=figure.better or better_by_name(figure.metric))
        for stage, figures in study.measure.items()
        for figure in figures
    )


def _tasks(study: Study, base: Sequence[Node]) -> tuple[str, ...]:
    """The measured stages that are of one kind with the first."""
    kinds = {node.name: node.stage.name for node in base}
    first = next(iter(study.measure))
    return tuple(stage for stage in study.measure if kinds[stage] == kinds[first])


def _results(nodes: Sequence[Node], design: Design) -> list[str]:
    """What the comparison reads: the measured stages, and every model, for the conditions that it states."""
    measured = {measure.stage for measure in design.measures}
    stages = {name: stage for copy in design.copies for stage, name in copy.nodes.items()}
    return [
        node.name
        for node in nodes
        if node.name in stages and (stages[node.name] in measured or issubclass(node.stage.makes, Model))
    ]


def _up_to(nodes: Sequence[Node], names: Sequence[str] | Mapping[str, Any]) -> list[Node]:
    """The wanted nodes and all that they need, in order."""
    needed = set(names)
    for node in reversed(nodes):
        if node.name in needed:
            needed |= {name for names in node.inputs.values() for name in names}
    return [node for node in nodes if node.name in needed]


def _known(name: str, names: Sequence[str], what: str, settings: Settings, at: Key) -> None:
    if name not in names:
        raise _mistake(settings, at, f"there is no {what} `{name}`{suggest(name, names)}")


def _mistake(settings: Settings, at: Key, message: str) -> ConfigError:
    key = ".".join(str(part) for part in (NAME, *at[:1]))
    return ConfigError(f"{settings.where((NAME, *at))}: `{key}`: {message}")
