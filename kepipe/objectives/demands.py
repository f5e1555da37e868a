"""What an objective asks of the model that it trains and of the rows that it learns from."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kepipe.objectives import table

if TYPE_CHECKING:
    from kepipe.config import Section
    from kepipe.models.transformer import Transformer

PAIRS = ("segment-pair", "sentence-pair", "dialogue")
"""Formats whose rows have two segments, and a label that says whether they belong together."""
FAMILIES = {"encoder": "bert or roberta", "decoder": "gpt2", "encoder-decoder": "bart or t5"}
"""Which families have these stacks."""


def check(objective: Section, model: Transformer, base: str, format: str, length: int) -> None:
    """Raise ValueError where `model`, called `base` in messages, or rows of this format and length (in tokens) do
    not give what the objective asks for."""
    row, name = table.row_of(objective), getattr(objective, "name", "")
    stacks = "-".join(kind for kind in ("encoder", "decoder") if getattr(model, kind) is not None)
    if stacks != row.stack:
        raise ValueError(
            f"objective {name} is for models of the kind {row.stack}, and base {base} is {stacks} alone: "
            f"set base to a {FAMILIES[row.stack]}, or choose another objective"
        )
    if row.formats and format not in row.formats:
        raise ValueError(
            f"objective {name} learns from rows of another kind: set `format: {row.formats[0]}`, not {format}"
        )
    config, pairs = model.config, format in PAIRS
    if row.links and config.fusion is None:
        raise ValueError(
            f"objective {name} learns of entities, and base {base} is a plain model: set `fusion: {{}}` in base and "
            "`inputs: {vectors: embed}` in the stage"
        )
    if 0 < config.positions < length:
        raise ValueError(
            f"length: {length} tokens, base {base} has {config.positions} positions: set length to that"
        )
    needed = {
        "segments": 6 if getattr(objective, "mode_segments", False) else 2 if pairs else 0,
        "tasks": len(getattr(objective, "of", ())) if getattr(objective, "tasks", False) else 0,
    }
    for kind, count in needed.items():
        if getattr(config, kind) < count:
            raise ValueError(
                f"objective {name} with format {format} needs a base with {count} {kind}, "
                f"{base} has {getattr(config, kind)}: set `{kind}: {count}` in base"
            )
    for setting in ("next_sentence", "tell_fakes"):
        if pairs and getattr(objective, setting, False) and not config.next_sentence:
            raise ValueError(
                f"base {base} has no head that judges rows: set `{setting}: false` in the objective"
            )
