"""Models and tokenizers of a pipeline's stages as far as they are known before the run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from kepipe.config import ConfigConflict
from kepipe.flow.stage import Planned, memoize_along
from kepipe.knowledge import table as knowledge
from kepipe.model_names import MINILM
from kepipe.models import pretrained
from kepipe.models.any_base import token_width
from kepipe.models.base import configure
from kepipe.models.first_embeddings import require_width
from kepipe.models.fresh_base import FreshBase
from kepipe.objectives import table
from kepipe.tokenization.table import KINDS

if TYPE_CHECKING:
    from typing_extensions import TypeIs

    from kepipe.knowledge.base import KnowledgeContext, KnowledgeSettings
    from kepipe.models.protocols import EncoderConfig, ModelConfig, TrainableConfig
    from kepipe.objectives.settings import ObjectiveSettings
    from kepipe.stages.shards import TokenizerConfig
    from kepipe.tokenization.tokenizer import Tokenizer


def display_name(stage: Planned) -> str:
    """Name of a stage's base in messages."""
    before, base = stage.input("start"), stage.config.base
    return before.name if before is not None else str(base.trained or base.family)


@memoize_along("start")
def model_of(stage: Planned) -> ModelConfig | None:
    """Config of the model that a stage makes; None if it is unknown before the run, or invalid, which the stage itself
    reports."""
    try:
        return starting_model(stage)
    except ConfigConflict:
        return None


def starting_model(stage: Planned) -> ModelConfig | None:
    """Config of the model that a stage trains; None if it is unknown before the run.

    A newly initialised model has vocabulary 1 as a placeholder for that of its shards. Raises ConfigConflict if the
    settings of the stage's base are inconsistent or incompatible with its knowledge.
    """
    try:
        config = _start_config(stage)
    except ValueError as reason:
        raise ConfigConflict("base", str(reason).removeprefix("base: ")) from None
    if config is None or not (is_encoder(config) or is_trainable(config)):
        return config
    try:
        for settings in getattr(stage.config, "knowledge", ()):
            config = knowledge.method_of(settings).extend_config(config, settings)
        return config
    except ValueError as reason:
        raise ConfigConflict("knowledge", str(reason).removeprefix("knowledge: ")) from None


def is_encoder(config: ModelConfig) -> TypeIs[EncoderConfig]:
    """Whether a model supports tasks and knowledge."""
    return "encoder" in config.capabilities


def is_trainable(config: ModelConfig) -> TypeIs[TrainableConfig]:
    """Whether a model can be trained with objectives; its config lists them."""
    return hasattr(config, "objectives")


def _start_config(stage: Planned) -> ModelConfig | None:
    """Config of the model that a stage starts from, before its own knowledge. Raises ValueError for an invalid base."""
    before, base = stage.input("start"), getattr(stage.config, "base", None)
    if before is not None:
        return model_of(before)
    if base is None:
        return None
    if base.trained:
        return _trained_config(base.trained)
    if getattr(base, "embeddings", None):
        setting, width = token_width(base)
        require_width(base.embeddings, width, setting)
    return base.configure(1) if isinstance(base, FreshBase) else configure(base, 1)


def _trained_config(name: str) -> EncoderConfig | None:
    """The config of a trained model; None if it would have to be downloaded."""
    place = pretrained.place_of_other_kind(name)
    if place is None:
        return pretrained.read_config(name)
    from kepipe.inference.opening import read_encoder_config  # imports torch, which planning otherwise avoids

    return read_encoder_config(place)


def _stored_inputs(stage: Planned) -> tuple[str, ...]:
    """Inputs that are already stored in the trained model that a stage starts from."""
    try:
        config = _start_config(stage)
    except ValueError:
        return ()
    return knowledge.brought_by(config) if config is not None and is_encoder(config) else ()


@memoize_along("start")
def _inherited(stage: Planned) -> Sequence[KnowledgeSettings]:
    """Knowledge methods with weights of the upstream stages' models that this stage does not set itself."""
    before = stage.input("start")
    if before is None:
        return []
    own = {type(settings) for settings in stage.config.knowledge}
    return [
        settings
        for settings in (*getattr(before.config, "knowledge", ()), *_inherited(before))
        if type(settings) not in own and knowledge.method_of(settings).in_weights
    ]


def knowledge_conflicts(stage: Planned, context: KnowledgeContext) -> Iterator[ConfigConflict]:
    """Incompatibilities of a stage's knowledge, and its missing inputs."""
    methods: Sequence[KnowledgeSettings] = stage.config.knowledge
    stored = _stored_inputs(stage) if methods else ()
    for settings in methods:
        for name in knowledge.method_of(settings).inputs(settings):
            if stage.input(name) is None and name not in stored:
                yield ConfigConflict(
                    f"inputs.{name}",
                    f"{knowledge.name_of(settings)} needs the {name} of a graph: give the stage that makes it, or "
                    "remove the method",
                )
        yield from knowledge.conflicts(settings, [*methods, *_inherited(stage)], context)


def tokenizer_of(shards: Planned) -> Tokenizer | None:
    """The tokenizer of shards, if it is already on this machine; None also for an unreadable one, which the stage
    `shards` reports itself."""
    try:
        return read_tokenizer(shards)
    except ValueError:
        return None


def read_tokenizer(shards: Planned) -> Tokenizer | None:
    """The tokenizer of shards, if it is already on this machine. Raises ValueError for an unreadable one."""
    first = _tokenizer_source(shards)
    if first is not shards:
        return tokenizer_of(first)
    source = shards.config.tokenizer.from_
    if source is None or not (source == MINILM or Path(source).exists()):
        return None
    place = pretrained.locate(source) if source == MINILM else Path(source)
    return _open(str(source), max(file.stat().st_mtime_ns for file in (place, *place.glob("*"))))


@memoize_along("tokenizer")
def _tokenizer_source(shards: Planned) -> Planned:
    """The shards from which these take their tokenizer; otherwise these themselves."""
    other = shards.input("tokenizer")
    return shards if other is None else _tokenizer_source(other)


@memoize_along("start")
def _shards_of_tokenizer(stage: Planned) -> Planned | None:
    """The shards from which a stage's model has its tokenizer; None if it has another source."""
    shards, before = stage.input("shards"), stage.input("start")
    if shards is not None:
        return _tokenizer_source(shards)
    return None if before is None else _shards_of_tokenizer(before)


@lru_cache(maxsize=4)
def _open(source: str, _stamp: int) -> Tokenizer:
    """Open a tokenizer, cached for all stages that use it."""
    from kepipe.tokenization.tokenizer import load_tokenizer

    return load_tokenizer(source)


def incompatibilities(
    stage: Planned, objective: ObjectiveSettings, model: EncoderConfig | None
) -> Iterator[ConfigConflict]:
    """Tokenizers that lack tokens which the objective needs, or that differ from the trained model's."""
    shards = stage.inputs["shards"][0]
    tokenizer = tokenizer_of(shards)
    if tokenizer is not None:
        for part in table.parts_of(objective):
            try:
                table.row_of(part).tokens(tokenizer)
            except ValueError as reason:
                yield ConfigConflict("objective", f"{table.name_of(part)}: {reason}")
    before = stage.input("start")
    if before is not None:
        yield from _other_tokenizer(before, shards)
    elif model is not None and model.vocabulary > 1:
        yield from _other_vocabulary(stage.config.base.trained, model.vocabulary, shards, tokenizer)


def of_other_tokens(arm: Planned, shards: Planned) -> Iterator[ConfigConflict]:
    """An arm whose model certainly has another tokenizer than the shards of the evaluation."""
    theirs, ours = _shards_of_tokenizer(arm), _tokenizer_source(shards)
    if theirs is not None and theirs.name != ours.name and _certainly_differ(theirs, ours):
        yield ConfigConflict("inputs.arms", other_tokens(arm.name, shards.name))


def other_tokens(arm: str, shards: str) -> str:
    """Message for an arm with another tokenizer."""
    return (
        f"`{arm}` has another tokenizer than `{shards}`, which all arms must share: evaluate it in a separate "
        "`evaluate` stage, with the shards that it was trained on"
    )


def _other_tokenizer(before: Planned, shards: Planned) -> Iterator[ConfigConflict]:
    theirs, ours = _shards_of_tokenizer(before), _tokenizer_source(shards)
    if theirs is not None and theirs.name != ours.name and _certainly_differ(theirs, ours):
        yield ConfigConflict(
            "inputs.start",
            f"`{before.name}` is trained with another tokenizer than that of `{shards.name}`: set `inputs: "
            f"{{tokenizer: {theirs.name}}}` in `{shards.name}`",
        )


def _certainly_differ(one: Planned, other: Planned) -> bool:
    """Whether the tokenizers of two shards differ for any text. The run itself compares the actual tokenizers."""
    ready: list[Tokenizer] = []
    to_train: list[TokenizerConfig] = []
    for shards in (one, other):
        tokenizer = tokenizer_of(shards)
        if tokenizer is not None:
            ready.append(tokenizer)
        elif shards.config.tokenizer.from_ is None:
            to_train.append(shards.config.tokenizer)
    if ready and to_train:
        return ready[0].vocab_size > to_train[0].size
    forms: list[object] = [tokenizer.backend.to_str() for tokenizer in ready] or [*map(_form, to_train)]
    return len(set(forms)) == 2


def _form(wanted: TokenizerConfig) -> tuple[str, bool]:
    """Properties of a tokenizer to be trained that the settings determine: kind of model, and whether it ignores
    case."""
    kind = KINDS[wanted.kind]
    return kind.model, wanted.lowercase and kind.can_lowercase


def _other_vocabulary(
    base: str, count: int, shards: Planned, tokenizer: Tokenizer | None
) -> Iterator[ConfigConflict]:
    wanted = _tokenizer_source(shards).config.tokenizer
    if tokenizer is not None and tokenizer.vocab_size != count:
        size = str(tokenizer.vocab_size)
    elif tokenizer is None and wanted.from_ is None and wanted.size < count:
        size = f"{wanted.size} at most"
    else:
        return
    yield ConfigConflict(
        "base",
        f"{base} has a vocabulary of {count} tokens, the tokenizer of `{shards.name}` has {size}: set `tokenizer: "
        f"{{from: {base}}}` in `{shards.name}`",
    )
