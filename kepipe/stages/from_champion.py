"""Stage `champion`: the champion of a registered model as it is now, to go on from; a fresh model where there is none.

Its key is of the text, and not of who is champion: a model that is promoted fires no training by itself, and one that
new text fires goes on from the champion of that moment.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pydantic import Field

from kepipe.config import ConfigConflict, Section, UserSource
from kepipe.flow.stage import Planned, Stage, StageContext
from kepipe.models.base import Base
from kepipe.stages.artifacts import Corpus, Model


@dataclass(frozen=True)
class ChampionInputs:
    """The text: where it changes, the champion is looked up anew."""

    corpus: Corpus


class ChampionConfig(Section):
    """Which registered model, and what stands in for it before there is one."""

    name: str = Field("kepipe", pattern=r"^[\w][\w. -]*$")
    """Name of the registered model, as `register` has it."""
    base: Base = Base()
    """The fresh model to begin with, where there is no champion."""
    tokenizer: UserSource = "minilm"
    """The tokenizer of the fresh model; the shards need the same: `tokenizer: {from: minilm}`."""


def champion(inputs: ChampionInputs, config: ChampionConfig, context: StageContext) -> None:
    """Write a model folder. Raises ValueError where the registry cannot be reached: a training that began anew instead
    would throw away what was learned."""
    from kepipe.models.files import link_folder
    from kepipe.tracking.model_uri import fetch
    from kepipe.tracking.registry import CHAMPION, champion_of
    from kepipe.tracking.store import StoreUnavailable, connect

    workspace = inputs.corpus.folder.parents[2]  # <workspace>/store/done/<key>
    try:
        number = champion_of(connect(workspace), config.name)
    except StoreUnavailable as reason:
        raise ValueError(f"the champion of {config.name} cannot be looked up: {reason}") from None
    if number is None:
        _fresh(config, context)
        return
    found = fetch(f"models:/{config.name}@{CHAMPION}", workspace, context.scratch)
    link_folder(found, context.out)
    context.log({"version": number})
    context.note(f"goes on from {config.name} version {number}, the champion")


def _fresh(config: ChampionConfig, context: StageContext) -> None:
    from kepipe.models.base import build
    from kepipe.models.folder import save
    from kepipe.tokenization.tokenizer import load_tokenizer

    tokenizer = load_tokenizer(config.tokenizer)
    model = build(config.base, tokenizer.vocab_size, context.seed)
    save(context.out, model)
    tokenizer.save(context.out)
    context.log({"version": 0})
    context.note(f"{config.name} has no champion yet: begins with a fresh {config.base.family}")


def conflicts(stage: Planned) -> Iterator[ConfigConflict]:
    """A base that is trained, beside the champion."""
    if stage.config.base.trained is not None:
        yield ConfigConflict("base.from", "the champion is what is gone on from: leave `from` out")


def _fingerprint(config: ChampionConfig) -> Mapping[str, str]:
    from kepipe.tokenization.digests import tokenizer_digests

    return tokenizer_digests(config.tokenizer)


CHAMPION_STAGE = Stage(
    "champion", 1, ChampionInputs, ChampionConfig, Model, champion, _fingerprint, conflicts
)
