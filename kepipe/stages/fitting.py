"""`pretrain` with a base that is fitted in passes of its own: no training loop, no objective, no updates."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from kepipe.config import ConfigConflict

if TYPE_CHECKING:
    from pydantic import BaseModel

    from kepipe.flow.stage import Planned, StageContext
    from kepipe.models.fitted_base import FittedBase
    from kepipe.stages.artifacts import Shards

SUPPORTED = ("base", "knowledge")
"""Settings of a pretraining that such a base uses, or rejects with its own message."""


def fit(base: FittedBase, shards: Shards, made_by: Mapping[str, Any], context: StageContext) -> None:
    """Fit the model to the text and write its folder. An interrupted attempt starts again from the beginning."""
    from kepipe.data.shards import open_shard
    from kepipe.models.files import write_json
    from kepipe.models.fitted_families import FitContext, FittingText, row_of
    from kepipe.models.folder import PROVENANCE

    folder, row = shards.folder, row_of(base)
    text = FittingText(open_shard(folder / "train"), open_shard(folder / "held_out"), folder / "tokenizer")
    context.dataset("shards/train", shards.digest, {"tokens": len(text.train)})
    scratch = context.scratch / "counts"
    shutil.rmtree(scratch, ignore_errors=True)
    with context.progress("fitting", len(text.train) * row.passes(base), "tokens") as tick:
        context.log(row.fit(base, text, FitContext(context.out, scratch, tick, context.seed)))
    if not len(text.held_out):
        context.warn("no text is held out: the held-out loss is not measured")
    write_json(context.out / PROVENANCE, made_by)


def conflicts(stage: Planned) -> Iterator[ConfigConflict]:
    """Training settings, which have no effect here."""
    config = stage.config
    family = config.base.family
    for name in ("start", "embeddings", "teacher"):
        if stage.input(name) is not None:
            yield ConfigConflict(f"inputs.{name}", f"{family} learns nothing from another model: remove it")
    if config.knowledge:
        yield ConfigConflict("knowledge", f"{family} is fitted to the text alone: remove it")
    given = sorted(config.model_fields_set - {*SUPPORTED, *_defaults(config)})
    reason = f"{family} is fitted in passes of its own, without training settings: remove it"
    for name in given:
        yield ConfigConflict(name, reason)


def _defaults(config: BaseModel) -> set[str]:
    """Names of settings that equal their defaults."""
    default = type(config)()
    return {name for name in config.model_fields_set if getattr(config, name) == getattr(default, name)}
