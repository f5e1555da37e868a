"""The section `study:` → nodes: copies of stages for each arm and seed, and a stage that compares them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from kepipe.config import ConfigError, Key, Section, Settings, suggest
from kepipe.flow.plan import Node
from kepipe.knowledge.table import CONTROLS
from kepipe.pipeline.arms import Arm, make_arms, make_controls
from kepipe.pipeline.copies import Copies, fingerprints_of
from kepipe.pipeline.variants import expand_variants
from kepipe.pipeline.wiring import Entries, is_variation, wire
from kepipe.stages.artifacts import Model
from kepipe.stages.study import STUDY
from kepipe.studies.design import DATA_SETTINGS, Copy, Design, Measure, better_by_name

NAME = "study"


class Figure(Section):
    """A metric of a stage."""

    metric: str
    """`split/metric` or `probe/metric` in the stage's `scores.json`, or the name of a logged metric."""
    better: Literal["higher", "lower"] | None = None
    """Which values are better. None: inferred from the name (lower for a loss)."""


def _as_list(value: Any) -> Any:
    items = value if isinstance(value, list) else [value]
    return [{"metric": item} if isinstance(item, str) else item for item in items]


def _as_group(value: Any) -> Any:
    return {} if value is None else value


Figures = Annotated[list[Figure], BeforeValidator(_as_list)]
"""One or several metrics; each may be given by its name alone."""
Changed = Annotated[dict[str, Any], BeforeValidator(_as_group)]
"""Settings of a stage; empty: no changes."""
Changes = Annotated[dict[str, Changed], BeforeValidator(_as_group)]


class Study(Section):
    """A controlled comparison. Each arm is the pipeline with some settings changed; all arms use the same seeds."""

    measure: dict[str, Figures] = Field(min_length=1)
    """Stage → its metrics. The first metric decides; the others are reported too. Further stages of the same kind as
    the first are further tasks, each decided by its first metric."""
    arms: dict[str, Changes] = Field(default_factory=dict)
    """Arm → stage → settings that override the stage's; `{}`: the unchanged pipeline."""
    controls: bool | list[str] = False
    """Control arms, whose knowledge is removed or wrong. `graph-off`, `graph-shuffled`, `names-only` (entities are
    linked, but have no facts) and `triples-as-text` (facts as sentences) are generated for the pipeline's knowledge
    methods (true: all of them), and `graph-on` is generated if `arms` is empty; other names refer to `arms`."""
    reference: str | None = None
    """The arm that the others are compared with. None: the first control, or the first arm without controls."""
    seeds: int | list[int] = 3
    """Number of seeds, starting with the pipeline's, or a list of seeds."""
    repeat: list[str] | None = None
    """Stages that are repeated with each seed; the others use the pipeline's seed. None: those that train a model."""
    may_differ: list[str] = Field(default_factory=list)
    """Conditions that may differ between arms, such as `steps` or `shards`; all others must be equal."""


def expand(
    study: Study,
    seed: int,
    base: Sequence[Node],
    entries: Entries,
    settings: Settings,
    places: Mapping[str, Key],
) -> list[Node]:
    """The nodes of a pipeline with a study. `base`: the nodes of the pipeline itself; `seed`: its seed.

    Stages of the arms run on their own only if a stage outside of the study needs them. Raises ConfigError for an
    invalid section, and for arms that would be trained on different data.
    """
    if NAME in entries:
        raise _error(settings, (), f"conflicts with a stage named `{NAME}`: rename the stage")
    for stage in study.measure:
        _require_known(stage, [node.name for node in base], "stage", settings, ("measure", stage))
    generated = make_controls(_up_to(base, study.measure)) if study.controls else {}
    controls = _controls(study, generated, settings)
    arms = _arms(study, controls, generated, settings)
    expanded = expand_variants(base, settings, places)
    base, repeat = expanded.nodes, study.repeat
    repeat = None if repeat is None else list(expanded.each(dict.fromkeys(repeat)))
    study = study.model_copy(update={"measure": expanded.each(study.measure), "repeat": repeat})
    plans = {}
    for arm in arms:
        entries_of_arm, at = arm.entries(entries, places, settings)
        plans[arm.name] = _up_to(
            expand_variants(wire(entries_of_arm, settings, at), settings, at).nodes, study.measure
        )
    _check_same_data(study, plans, settings)
    copies, repeated = Copies(list(plans), seed), _repeated(study, plans, entries, settings)
    fingerprints = {
        (arm, number): copies.add(arm, number, plan, repeated)
        for number in _seeds(study, seed, settings)
        for arm, plan in plans.items()
    }
    studied = {node.name for plan in plans.values() for node in plan}
    kept = _up_to(base, [node.name for node in base if node.name not in studied])
    own = fingerprints_of(base, seed)
    names = copies.names(own, {node.name for node in kept})
    nodes = copies.nodes(names) + [node for node in kept if own[node.name] not in copies.variants]
    design = Design(
        reference=_reference(study, list(plans), controls, settings),
        controls=tuple(controls),
        measures=_measures(study),
        tasks=_tasks(study, base),
        copies=tuple(
            Copy(
                arm=arm,
                seed=number,
                nodes={stage: names[fingerprint] for stage, fingerprint in stages.items()},
            )
            for (arm, number), stages in fingerprints.items()
        ),
        may_differ=tuple(study.may_differ),
        changes={arm.name: arm.describe_changes() for arm in arms},
    )
    return [*nodes, Node(NAME, STUDY, design, {"results": _results(nodes, design)})]


def _arms(
    study: Study, controls: Sequence[str], generated: Mapping[str, Arm], settings: Settings
) -> list[Arm]:
    if not study.arms and not controls:
        raise _error(settings, (), "there are no arms: add `arms` or `controls: true`")
    try:
        return make_arms(study.arms, controls, generated)
    except ValueError as reason:
        raise _error(settings, ("controls",) if study.controls else ("arms",), str(reason)) from None


def _controls(study: Study, generated: Mapping[str, Arm], settings: Settings) -> list[str]:
    """Names of the control arms. Raises ConfigError for an unknown one."""
    names = list(generated) if study.controls is True else study.controls or []
    if (study.controls is True and not names) or (
        not generated and set(names) & set(CONTROLS) - study.arms.keys()
    ):
        raise _error(
            settings,
            ("controls",),
            "none of the measured stages has `knowledge` that a control could remove or change",
        )
    for name in names:
        _require_known(name, [*study.arms, *generated], "arm", settings, ("controls",))
    return names


def _reference(study: Study, arms: Sequence[str], controls: Sequence[str], settings: Settings) -> str:
    if study.reference is None:
        return controls[0] if controls else arms[0]
    _require_known(study.reference, arms, "arm", settings, ("reference",))
    return study.reference


def _seeds(study: Study, first: int, settings: Settings) -> list[int]:
    seeds = study.seeds if isinstance(study.seeds, list) else list(range(first, first + study.seeds))
    if not seeds or len(set(seeds)) < len(seeds) or min(seeds) < 0:
        raise _error(settings, ("seeds",), "expected one or more distinct seeds ≥ 0")
    return seeds


def _repeated(
    study: Study, plans: Mapping[str, Sequence[Node]], entries: Entries, settings: Settings
) -> list[str]:
    """Names of the stages that use the study's seeds: those in `repeat`, and those that shuffle for a control. Without
    `repeat`: those that train, and all that vary their own input (shuffling, `neighbours`)."""
    stages = {node.name: node.stage for plan in plans.values() for node in plan}
    for name in study.repeat or ():
        _require_known(name, list(stages), "stage that is measured or needed for it", settings, ("repeat",))
    varying = [name for name, stage in stages.items() if is_variation(stage)]
    if study.repeat is not None:
        return [*study.repeat, *(name for name in varying if name not in entries)]
    return [*varying, *(name for name, stage in stages.items() if issubclass(stage.makes, Model))]


def _check_same_data(study: Study, plans: Mapping[str, Sequence[Node]], settings: Settings) -> None:
    """Raise ConfigError if arms train a model on a different amount or order of data, before hours are spent on it."""
    seen: dict[tuple[str, str], tuple[str, Any]] = {}
    for arm, plan in plans.items():
        for node in (node for node in plan if issubclass(node.stage.makes, Model)):
            for name in DATA_SETTINGS:
                if name in study.may_differ or not hasattr(node.config, name):
                    continue
                value = getattr(node.config, name)
                other, before = seen.setdefault((node.name, name), (arm, value))
                if before != value:
                    raise _error(
                        settings,
                        ("arms", arm),
                        f"`{node.name}.{name}` is {before} in arm `{other}` and {value} in arm `{arm}`: "
                        "the arms differ in more than their knowledge; if this is intended, set "
                        f"`may_differ: [{name}]`",
                    )


def _measures(study: Study) -> tuple[Measure, ...]:
    return tuple(
        Measure(stage=stage, metric=figure.metric, better=figure.better or better_by_name(figure.metric))
        for stage, figures in study.measure.items()
        for figure in figures
    )


def _tasks(study: Study, base: Sequence[Node]) -> tuple[str, ...]:
    """The measured stages of the same kind as the first."""
    kinds = {node.name: node.stage.name for node in base}
    first = next(iter(study.measure))
    return tuple(stage for stage in study.measure if kinds[stage] == kinds[first])


def _results(nodes: Sequence[Node], design: Design) -> list[str]:
    """Inputs of the comparison: the measured stages, and all models, whose training conditions it reports."""
    measured = {measure.stage for measure in design.measures}
    stages = {name: stage for copy in design.copies for stage, name in copy.nodes.items()}
    return [
        node.name
        for node in nodes
        if node.name in stages and (stages[node.name] in measured or issubclass(node.stage.makes, Model))
    ]


def _up_to(nodes: Sequence[Node], names: Sequence[str] | Mapping[str, Any]) -> list[Node]:
    """The named nodes and all upstream nodes, in order."""
    needed = set(names)
    for node in reversed(nodes):
        if node.name in needed:
            needed |= {name for names in node.inputs.values() for name in names}
    return [node for node in nodes if node.name in needed]


def _require_known(name: str, names: Sequence[str], what: str, settings: Settings, at: Key) -> None:
    if name not in names:
        raise _error(settings, at, f"there is no {what} `{name}`{suggest(name, names)}")


def _error(settings: Settings, at: Key, message: str) -> ConfigError:
    key = ".".join(str(part) for part in (NAME, *at[:1]))
    return ConfigError(f"{settings.where((NAME, *at))}: `{key}`: {message}")
