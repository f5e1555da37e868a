"""Checks that an objective, a model and rows fit together, before anything runs."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, get_args

from kepipe.config import ConfigConflict
from kepipe.data.formats import FORMATS
from kepipe.models.families import FAMILIES, Stacks
from kepipe.objectives import table

if TYPE_CHECKING:
    from kepipe.models.protocols import EncoderConfig, TrainableConfig
    from kepipe.objectives.settings import ObjectiveSettings

WITH_ARTICLE = {stacks: f"a{'n' * stacks.startswith('e')} {stacks}" for stacks in get_args(Stacks)}


@dataclass(frozen=True)
class RowSettings:
    """The settings of rows. `length`: maximum, in tokens; `document_mask`: whether the documents of a row are hidden
    from one another; `streams`: whether rows continue from batch to batch; `ramp`: whether the batch size grows."""

    format: str
    length: int
    document_mask: bool = False
    streams: bool = False
    ramp: bool = False


def check(objective: ObjectiveSettings, model: TrainableConfig, base: str, rows: RowSettings) -> None:
    """Raise the first of the `conflicts`, if there are any."""
    for conflict in conflicts(objective, model, base, rows):
        raise conflict


def conflicts(
    objective: ObjectiveSettings, model: TrainableConfig, base: str, rows: RowSettings
) -> Iterator[ConfigConflict]:
    """The requirements of the objective that the model, called `base` in messages, or the rows do not meet. Keys are
    settings of the stage `pretrain`."""
    row, name = table.row_of(objective), table.name_of(objective)
    if model.objectives is not None:
        strangers = {table.name_of(part) for part in table.parts_of(objective)} - model.objectives
        if strangers:
            known = [name for name in table.TABLE if name in model.objectives]
            yield ConfigConflict(
                "objective",
                f"{' and '.join(sorted(strangers))} cannot train base {base} as it is set: set `objective: {known[0]}`"
                f"{others(known)}",
            )
            return
    if row.families and model.family not in row.families:
        yield _wrong_family(name, row, base, model)
        return
    if model.stacks != row.stack:
        yield _wrong_stacks(name, row, base, model)
        return
    if row.formats and rows.format not in row.formats:
        yield ConfigConflict(
            "format",
            f"{name} does not learn from rows of the kind {rows.format}: set `format: {row.formats[0]}`",
        )
    if rows.document_mask and not model.masks_documents:
        yield ConfigConflict(
            "document_mask",
            f"base {base} reads rows as a whole, and {name} cannot keep their documents apart: leave `document_mask` "
            "out, and set `format: doc-sentences` to have rows of one document",
        )
    framed = row.num_special_tokens if rows.format == "packed" else 0
    tokens = objective.row_length(rows.length)
    if 0 < model.positions < tokens + framed:
        ends = f" and {framed} around them" if framed else ""
        lengths = range(1, model.positions + 1)
        fitting = bisect_right(lengths, model.positions - framed, lo=4, key=objective.row_length)
        yield ConfigConflict(
            "length",
            f"{tokens} tokens{ends}, and base {base} has {model.positions} positions: set `length: {fitting}`",
        )
    yield from _of_pairs(objective, name, model, base, rows.format)
    if rows.streams:
        yield from _of_streams(model, base, rows)


def _wrong_stacks(name: str, row: table.Row, base: str, model: TrainableConfig) -> ConfigConflict:
    objectives = _objectives_of(model)
    families = [family for family, its in FAMILIES.items() if its.stacks == row.stack]
    return ConfigConflict(
        "objective",
        f"{name} trains {WITH_ARTICLE[row.stack]}, and base {base} is {WITH_ARTICLE[model.stacks]}: set `objective: "
        f"{objectives[0]}`{others(objectives)}, or `base: {{family: {families[0]}}}`{others(families)}",
    )


def _wrong_family(name: str, row: table.Row, base: str, model: TrainableConfig) -> ConfigConflict:
    objectives = _objectives_of(model)
    return ConfigConflict(
        "objective",
        f"{name} trains {' and '.join(row.families)} alone, and not base {base}: set `objective: {objectives[0]}`"
        f"{others(objectives)}, or `base: {{family: {row.families[0]}}}`",
    )


def _objectives_of(model: TrainableConfig) -> list[str]:
    """The objectives that train a model's stacks."""
    return [
        name
        for name, row in table.TABLE.items()
        if row.stack == model.stacks and (not row.families or model.family in row.families)
    ]


def others(names: Sequence[str]) -> str:
    """` (or A, B)`: the alternatives to the first name, for messages."""
    return f" (or {', '.join(names[1:])})" if names[1:] else ""


def _of_pairs(
    objective: ObjectiveSettings, name: str, model: TrainableConfig, base: str, format: str
) -> Iterator[ConfigConflict]:
    """Conflicts about pairs: segment ids, task ids and the next-sentence head."""
    pairs = FORMATS[format].pairs
    if pairs and (model.stacks == "decoder" or (model.objectives is not None and not model.segments)):
        yield ConfigConflict(
            "format", f"base {base} does not support pairs, as made by {format}: set `format: packed`"
        )
        return
    needed = {"segments": objective.num_segments(pairs), "tasks": objective.num_tasks()}
    for kind, count in needed.items():
        if getattr(model, kind) < count:
            yield ConfigConflict(
                "base",
                f"objective {name} with format {format} needs a base with {count} {kind}, {base} has "
                f"{getattr(model, kind)}: set `{kind}: {count}` in base, or where that is a trained model, "
                f"{_without(kind, count, objective)}",
            )
    setting = objective.row_label_setting()
    if pairs and setting is not None and not model.next_sentence:
        yield ConfigConflict(
            f"objective.{setting}",
            f"base {base} has no next-sentence head: set `{setting}: false` in the objective",
        )


def _of_streams(model: EncoderConfig, base: str, rows: RowSettings) -> Iterator[ConfigConflict]:
    """Conflicts about streams, whose batches continue from one another."""
    if FORMATS[rows.format].pairs:
        yield ConfigConflict(
            "streams",
            f"pairs, as made by {rows.format}, do not continue one another: set `format: packed`",
        )
    if not model.carries_state:
        yield ConfigConflict("streams", f"base {base} carries no state from batch to batch: remove `streams`")
    if rows.ramp:
        yield ConfigConflict(
            "batch_ramp", "streams take the same number of parts in every update: leave it out"
        )


def _without(kind: str, count: int, objective: ObjectiveSettings) -> str:
    """For messages: how to do without the segments or tasks that a trained model lacks."""
    setting = objective.without(kind)
    if setting is not None:
        return f"set `{setting}` in the objective"
    own_rows = any(table.row_of(part).rows is not None for part in table.parts_of(objective))
    fixed = own_rows or table.row_of(objective).formats
    return f"start from one with {count}" if fixed else "set `format: doc-sentences`"
