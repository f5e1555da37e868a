"""Numbers in a pipeline file that cannot work are refused when it is read, not hours later by the stage."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

import pytest
from annotated_types import Ge, Gt

import kepipe.pipeline
import kepipe.stages.table
from kepipe.config import ConfigError, Section, validate
from kepipe.config.yaml_file import Settings
from kepipe.stages.corpus import CorpusConfig
from kepipe.stages.embed import EmbedConfig
from kepipe.stages.link import LinkConfig

assert kepipe.pipeline
assert kepipe.stages.table

UNBOUNDED = {
    "GenerationSettings.length_penalty": "a negative power favours short answers",
    "AtLeast.value": "a metric may be negative",
    "Gate.minimum": "a metric may be negative",
    "ElmoBase.cutoffs": "checked as a whole: increasing, positive",
    "CNNBase.widths": "checked as a whole",
    "NgramBase.prune": "checked as a whole: non-decreasing, from 0",
    "TrainingSettings.betas": "checked as a whole: from 0, below 1",
    "InterpolateConfig.weights": "checked with the number of members",
    "Study.seeds": "checked as a whole: distinct, from 0",
    "LinkConfig.threshold": "checked where it is not auto: from 0 to 1",
    "LinkConfig.workers": "−1 means one process per processor",
    "ShardsConfig.workers": "−1 means one process per processor",
    "Copy.seed": "not written by a user",
}
"""Number without lower bound → why it has none."""


def sections(base: type[Section] = Section) -> Iterator[type[Section]]:
    """All sections of kepipe that the pipeline's and the stages' settings have imported."""
    for section in base.__subclasses__():
        if section.__module__.startswith("kepipe."):
            yield section
        yield from sections(section)


def is_unbounded(annotation: Any, metadata: list[Any]) -> bool:
    """Whether some number of a type has no lower bound: of its own, of the type, or of the field."""
    if any(isinstance(each, Ge | Gt) for each in _flat(metadata)) or get_origin(annotation) is Literal:
        return False
    if annotation in (int, float):
        return True
    parts = get_args(annotation)
    if get_origin(annotation) is Annotated:
        return is_unbounded(parts[0], list(parts[1:]))
    return any(is_unbounded(part, []) for part in parts)


def _flat(metadata: list[Any]) -> Iterator[Any]:
    for each in metadata:
        yield each
        yield from getattr(each, "metadata", ())


def test_every_number_of_the_settings_has_a_lower_bound_or_a_reason() -> None:
    found = {
        f"{section.__name__}.{name}"
        for section in sections()
        for name, info in section.model_fields.items()
        if name in inspect.get_annotations(section)  # inherited ones are those of the base
        if is_unbounded(info.annotation, info.metadata)
    }
    assert found == UNBOUNDED.keys()


@pytest.mark.parametrize(
    ("annotation", "unbounded"),
    [
        (int, True),
        (str | None, False),
        (Literal[1, 2], False),
        (Annotated[float, Gt(0)] | None, False),
        (Annotated[int | None, Ge(1)], False),
        (Annotated[int, Ge(1)] | float, True),
        (list[Annotated[int, Ge(1)] | Literal["all"]], False),
        (dict[str, int], True),
    ],
)
def test_each_number_of_a_type_needs_a_bound(annotation: Any, unbounded: bool) -> None:
    assert is_unbounded(annotation, []) == unbounded


@pytest.mark.parametrize(
    ("section", "name", "refused", "allowed"),
    [
        (EmbedConfig, "temperature", [0, -1.0], [0.5]),
        (EmbedConfig, "margin", [-0.1], [0, 9.0]),
        (LinkConfig, "threshold", [-0.1, 1.1], [0, 1]),
        (CorpusConfig, "max_documents", [0, -1], [1, None]),
    ],
)
def test_number_without_meaning_is_refused_by_name(
    section: type[Section], name: str, refused: list[float], allowed: list[float | None]
) -> None:
    for value in refused:
        with pytest.raises(ConfigError, match=f"`{name}`: expected a number"):
            validate(section, {name: value}, Settings({}, Path("p.yaml")))
    for number in allowed:
        assert getattr(validate(section, {name: number}, Settings({}, Path("p.yaml"))), name) == number
