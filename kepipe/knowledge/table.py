"""The table of knowledge methods: name in the YAML → method. A new method is a file and a row."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Union

from pydantic import AfterValidator, BeforeValidator, Discriminator, TypeAdapter

from kepipe.config import ConfigConflict, Section, named_section
from kepipe.knowledge.base import Control, KnowledgeContext, KnowledgeMethod, KnowledgeSettings
from kepipe.knowledge.ernie_baidu import ErnieBaiduMethod
from kepipe.knowledge.ernie_tsinghua.method import ErnieTsinghuaMethod
from kepipe.knowledge.kbert.method import KBertMethod
from kepipe.knowledge.triples_as_text.method import TriplesAsTextMethod

if TYPE_CHECKING:
    from kepipe.models.protocols import EncoderConfig

METHODS: Mapping[str, KnowledgeMethod] = {
    "ernie-baidu": ErnieBaiduMethod(),
    "ernie-tsinghua": ErnieTsinghuaMethod(),
    "k-bert": KBertMethod(),
    "triples-as-text": TriplesAsTextMethod(),
}


AS_TEXT = Control("triples-as-text", {}, "triples-as-text")
"""The baseline for every other method: the facts of its graph, written as sentences."""


def controls_of(method: KnowledgeMethod) -> tuple[Control, ...]:
    """The control arms of a method."""
    return (*method.controls, *([AS_TEXT] if method is not METHODS[AS_TEXT.name] else []))


CONTROLS: tuple[str, ...] = tuple(
    dict.fromkeys(control.name for method in METHODS.values() for control in controls_of(method))
)
"""Names of the control arms that methods may have."""


def method_of(settings: KnowledgeSettings) -> KnowledgeMethod:
    """The method of these settings."""
    return next(method for method in METHODS.values() if isinstance(settings, method.section))


def name_of(settings: KnowledgeSettings) -> str:
    """The method's name in the YAML."""
    return next(name for name, method in METHODS.items() if isinstance(settings, method.section))


def inputs_of(methods: Sequence[KnowledgeSettings]) -> tuple[str, ...]:
    """Inputs of a stage that any of the methods needs."""
    needed = (name for settings in methods for name in method_of(settings).inputs(settings))
    return tuple(dict.fromkeys(needed))


def brought_by(config: EncoderConfig) -> tuple[str, ...]:
    """Inputs that come with a trained model of this config (see `KnowledgeMethod.brought`)."""
    return tuple(dict.fromkeys(name for method in METHODS.values() for name in method.brought(config)))


def advice(source: str) -> str:
    """Advice for messages: the methods that use a source with default settings."""
    taking = [name for name, method in METHODS.items() if source in method.inputs(method.section())]
    return ", or ".join(
        f"set `knowledge: {{method: {name}}}` in the stage, which {METHODS[name].about}" for name in taking
    )


def check(methods: Sequence[KnowledgeSettings], context: KnowledgeContext) -> None:
    """Raise the first conflict of the methods with their use or with each other, if there is one."""
    for settings in methods:
        for conflict in conflicts(settings, methods, context):
            raise conflict


def conflicts(
    settings: KnowledgeSettings, methods: Sequence[KnowledgeSettings], context: KnowledgeContext
) -> Iterator[ConfigConflict]:
    """Conflicts of one of a stage's methods: with its use, or with another method that needs positions that it
    moves."""
    method = method_of(settings)
    yield from method.conflicts(settings, context)
    if not method.moves_tokens or context.objective is None:
        return
    for other in methods:
        remedy = method_of(other).names_places(other)
        if remedy is not None:
            yield ConfigConflict(
                "knowledge",
                f"{name_of(settings)} moves tokens, but {name_of(other)} predicts entities at fixed positions: "
                f"{remedy}",
            )


def unlearned(
    methods: Sequence[KnowledgeSettings], model: EncoderConfig, name: str
) -> Iterator[ConfigConflict]:
    """A conflict for each method that a trained model, called `name`, has no weights for."""
    for settings in methods:
        try:
            extended = method_of(settings).extend_config(model, settings)
        except ValueError as refusal:
            yield ConfigConflict("knowledge", str(refusal))
            continue
        if extended != model:
            method = name_of(settings)
            message = f"`{name}` has no weights for {method}: pretrain it with `knowledge: {method}`"
            yield ConfigConflict("knowledge", message)


def not_with_prompts(
    methods: Sequence[KnowledgeSettings], model: EncoderConfig, name: str
) -> Iterator[ConfigConflict]:
    """A conflict for each method that cannot be used in prompts of a language model, called `name`."""
    for settings in methods:
        reason = method_of(settings).not_with_prompts(settings, model)
        if reason is not None:
            yield ConfigConflict(
                "knowledge", f"`{name}` continues texts, which {name_of(settings)} does not support: {reason}"
            )


def read(value: Any) -> KnowledgeSettings:
    """Settings from plain data: a name, or a mapping with `method`. Raises ValueError, pydantic's included."""
    settings: KnowledgeSettings = TypeAdapter(AnyKnowledge).validate_python(value)
    return settings


def _as_list(value: Any) -> Any:
    """None, one method, or several."""
    return () if value is None else value if isinstance(value, list | tuple) else (value,)


def in_order(methods: Sequence[KnowledgeSettings]) -> tuple[KnowledgeSettings, ...]:
    """The methods in the order of the table, in which they are applied: masking, then vectors, then inserted tokens.

    Raises ValueError if one occurs twice.
    """
    names = [name_of(settings) for settings in methods]
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise ValueError(f"{', '.join(sorted(twice))}: expected each method once")
    return tuple(sorted(methods, key=lambda settings: list(METHODS).index(name_of(settings))))


if TYPE_CHECKING:
    AnyKnowledge = KnowledgeSettings
    KnowledgeMethods = tuple[KnowledgeSettings, ...]
else:
    AnyKnowledge = Annotated[
        Union[tuple(method.section for method in METHODS.values())],  # noqa: UP007
        Discriminator("method"),
        BeforeValidator(named_section("method", "knowledge method", METHODS)),
    ]
    """The settings of any method, or its name alone."""
    KnowledgeMethods = Annotated[
        tuple[AnyKnowledge, ...], BeforeValidator(_as_list), AfterValidator(in_order)
    ]
    """Any number of methods, as the type of a config's field."""


class KnowledgeSection(Section):
    """The section `knowledge:` alone, as for a command-line option."""

    shorthand: ClassVar[Mapping[str, str]] = {"knowledge": "method"}

    knowledge: KnowledgeMethods = ()
    """A method's name, `method:` with settings, or a list of these."""
