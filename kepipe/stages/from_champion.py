"""Stage `champion`: the champion of a registered model as it is now, to go on from; a fresh model where there is none.

`base: {from: "models:/NAME@champion"}` in a stage that trains says the same in other words. Its key is of the text, and
not of who is champion: a model that is promoted fires no training by itself, and one that
new text fires goes on from the champion of that moment.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pydantic import Field

from kepipe.config import ConfigConflict, Section, UserSource
from kepipe.flow.artifact import Artifact
from kepipe.flow.stage import Planned, Stage, StageContext
from kepipe.models.base import Base
from kepipe.stages.artifacts import Corpus, Model
from kepipe.stages.made_of import workspace_of


@dataclass(frozen=True)
class ChampionInputs:
    """The text: where it changes, the champion is looked up anew. None for a version by its number."""

    corpus: Corpus | None = None


class ChampionConfig(Section):
    """Which registered model, and what stands in for it before there is one."""

    name: str = Field("kepipe", pattern=r"^[\w][\w. -]*$")
    """Name of the registered model, as `register` has it."""
    at: str = Field("champion", pattern=r"^[\w.-]+$")
    """Which version: an alias, or a number."""
    base: Base | None = Base()
    """The fresh model to begin with, where there is no champion; null: there has to be one."""
    tokenizer: UserSource = "minilm"
    """The tokenizer of the fresh model; the shards need the same: `tokenizer: {from: minilm}`."""


def champion(inputs: ChampionInputs, config: ChampionConfig, context: StageContext) -> None:
    """Write a model folder. Raises ValueError where the registry cannot be reached: a training that began anew instead
    would throw away what was learned."""
    from kepipe.models.files import link_folder
    from kepipe.tracking.model_uri import fetch, model_uri
    from kepipe.tracking.registry import version_at
    from kepipe.tracking.store import StoreUnavailable, connect

    workspace = context.out.parents[3] if inputs.corpus is None else workspace_of(inputs.corpus).root
    try:
        number = version_at(connect(workspace), config.name, config.at)
    except StoreUnavailable as reason:
        raise ValueError(f"the {config.at} of {config.name} cannot be looked up: {reason}") from None
    if number is None and config.base is not None and not config.at.isdecimal():
        _fresh(config, config.base, context)
        return
    if number is None:
        wanted = model_uri(config.name, config.at)
        raise ValueError(
            f"{wanted}: there is none (`kepipe models list` shows what is registered); settings of a fresh model "
            f"beside it, such as `base: {{from: {wanted}, family: bert}}`, say what to begin with"
        )
    found = fetch(model_uri(config.name, str(number)), workspace, context.scratch)
    link_folder(found, context.out)
    context.log({"version": number})
    context.note(
        f"goes on from {config.name} version {number}"
        + ("" if config.at.isdecimal() else f", the {config.at}")
    )


def _fresh(config: ChampionConfig, base: Base, context: StageContext) -> None:
    from kepipe.models.base import build
    from kepipe.models.folder import save
    from kepipe.tokenization.tokenizer import load_tokenizer

    tokenizer = load_tokenizer(config.tokenizer)
    model = build(base, tokenizer.vocab_size, context.seed)
    save(context.out, model)
    tokenizer.save(context.out)
    context.log({"version": 0})
    context.note(f"{config.name} has no {config.at} yet: begins with a fresh {base.family}")


def conflicts(stage: Planned) -> Iterator[ConfigConflict]:
    """A base that is trained, beside the champion."""
    if stage.config.base is not None and stage.config.base.trained is not None:
        yield ConfigConflict("base.from", "the champion is what is gone on from: leave `from` out")


def _needs(config: ChampionConfig, _given: Mapping[str, type[Artifact]]) -> tuple[str, ...]:
    return () if config.at.isdecimal() else ("corpus",)


def _fingerprint(config: ChampionConfig) -> Mapping[str, str]:
    from kepipe.tokenization.digests import tokenizer_digests

    return tokenizer_digests(config.tokenizer)


CHAMPION_STAGE = Stage(
    "champion", 1, ChampionInputs, ChampionConfig, Model, champion, _fingerprint, conflicts, _needs
)
