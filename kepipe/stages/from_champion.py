"""Stage `champion`: loads the current champion of a registered model to continue from; if there is none, makes a new
model or loads another trained one.

`base: {from: "models:/NAME@champion"}` in a training stage is a shorthand for it. Its cache key depends on the text and
not on the champion: a promotion does not trigger training, and training on new text continues from the champion at that
time.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import Field

from kepipe.config import Section, UserSource
from kepipe.flow.artifact import Artifact
from kepipe.flow.stage import Stage, StageContext
from kepipe.models.base import Base
from kepipe.stages.artifacts import Corpus, Model
from kepipe.stages.made_of import workspace_of


@dataclass(frozen=True)
class ChampionInputs:
    """The text: when it changes, the champion is looked up again. None for a fixed version number."""

    corpus: Corpus | None = None


class ChampionConfig(Section):
    """The registered model, and a new model to use until there is a champion."""

    name: str = Field("kepipe", pattern=r"^[\w][\w. -]*$")
    """Name of the registered model, as in `register`."""
    at: str = Field("champion", pattern=r"^[\w.-]+$")
    """The version: an alias or a number."""
    base: Base | None = Base()
    """The model to start with if there is no champion: a new one, or `from:` a trained one; null: a champion is
    required."""
    tokenizer: UserSource = "minilm"
    """The tokenizer of a new model; the shards need the same: `tokenizer: {from: minilm}`."""


def champion(inputs: ChampionInputs, config: ChampionConfig, context: StageContext) -> None:
    """Write a model folder. Raises ValueError if the registry is unreachable, rather than start from scratch and lose
    what was learned."""
    from kepipe.flow.artifact import link_folder
    from kepipe.tracking.model_uri import fetch, model_uri
    from kepipe.tracking.registry import version_at
    from kepipe.tracking.store import StoreUnavailable, connect

    workspace = context.out.parents[3] if inputs.corpus is None else workspace_of(inputs.corpus).root
    try:
        number = version_at(connect(workspace), config.name, config.at)
    except StoreUnavailable as reason:
        raise ValueError(f"the {config.at} of {config.name} cannot be looked up: {reason}") from None
    if number is None and config.base is not None and not config.at.isdecimal():
        (_fresh if config.base.trained is None else _trained)(config, config.base, context)
        return
    if number is None:
        uri = model_uri(config.name, config.at)
        raise ValueError(
            f"{uri} does not exist (`kepipe models list` shows registered models); to start with a new model until "
            f"then, add its settings, such as `base: {{from: {uri}, family: bert}}`"
        )
    found = fetch(model_uri(config.name, str(number)), workspace, context.scratch)
    link_folder(found, context.out)
    context.log({"version": number})
    context.note(
        f"continues from {config.name} version {number}"
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
    context.note(f"{config.name} has no {config.at} yet: starts with a new {base.family}")


def _trained(config: ChampionConfig, base: Base, context: StageContext) -> None:
    from kepipe.models.pretrained import files_of, locate
    from kepipe.tokenization.tokenizer import load_tokenizer

    assert base.trained is not None
    folder = locate(base.trained)
    for name, file in files_of(folder).items():
        target = context.out / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, target)
    load_tokenizer(folder).save(context.out)
    context.log({"version": 0})
    context.note(f"{config.name} has no {config.at} yet: starts with {base.trained}")


def _needs(config: ChampionConfig, _given: Mapping[str, type[Artifact]]) -> tuple[str, ...]:
    return () if config.at.isdecimal() else ("corpus",)


def _fingerprint(config: ChampionConfig) -> Mapping[str, str]:
    from kepipe.models.base import fingerprint
    from kepipe.tokenization.digests import tokenizer_digests

    if config.base is not None and config.base.trained is not None:
        return fingerprint(config.base)
    return tokenizer_digests(config.tokenizer)


CHAMPION_STAGE = Stage(
    "champion", 1, ChampionInputs, ChampionConfig, Model, champion, _fingerprint, needs=_needs
)
