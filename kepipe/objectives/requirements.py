"""What an objective asks of the model that it trains, of the rows that it learns from, and of its tokenizer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, get_args

from kepipe.config import ConfigConflict
from kepipe.models.config import Stacks
from kepipe.models.families import FAMILIES
from kepipe.objectives import table

if TYPE_CHECKING:
    from kepipe.config import Section
    from kepipe.models.config import TransformerConfig

PAIRS = ("segment-pair", "sentence-pair", "dialogue")
"""Formats whose rows have two segments, and a label that says whether they belong together."""

WITH_ARTICLE = {stacks: f"a{'n' * stacks.startswith('e')} {stacks}" for stacks in get_args(Stacks)}


def check(
    objective: Section, model: TransformerConfig, base: str, format: str, length: int, isolate: bool = False
) -> None:
    """Raise the first of the `conflicts`, if there are any."""
    for conflict in conflicts(objective, model, base, format, length, isolate):
        raise conflict


def conflicts(
    objective: Section, model: TransformerConfig, base: str, format: str, length: int, isolate: bool = False
) -> Iterator[ConfigConflict]:
    """Where a model, called `base` in messages, or rows of this format and length (in tokens) do not give what the
    objective asks for; `isolate`: documents of a row are not to see each other. Keys are those of the stage
    `pretrain`."""
    row, name = table.row_of(objective), table.name_of(objective)
    if model.stacks != row.stack:
        yield _wrong_stacks(name, row, base, model)
        return
    if row.formats and format not in row.formats:
        yield ConfigConflict(
            "format", f"{name} does not learn from rows of the kind {format}: set `format: {row.formats[0]}`"
        )
    if row.links and model.fusion is None:
        yield ConfigConflict(
            "objective",
            f"{name} learns of entities, and base {base} is a plain model: set `fusion: {{}}` in base and "
            "`inputs: {vectors: embed}` in the stage",
        )
    if isolate and model.stacks == "encoder-decoder":
        yield ConfigConflict(
            "isolate",
            f"{name} writes rows as a whole and cannot keep their documents apart: leave `isolate` out, and set "
            "`format: doc-sentences` to have rows of one document",
        )
    framed = row.num_special_tokens if format == "packed" else 0
    if 0 < model.positions < length + framed:
        ends = f" and {framed} around them" if framed else ""
        yield ConfigConflict(
            "length",
            f"{length} tokens{ends}, and base {base} has {model.positions} positions: set "
            f"`length: {model.positions - framed}`",
        )
    yield from _of_pairs(objective, name, model, base, format)


def _wrong_stacks(name: str, row: table.Row, base: str, model: TransformerConfig) -> ConfigConflict:
    objectives = [other for other, its in table.TABLE.items() if its.stack == model.stacks]
    families = [family for family, its in FAMILIES.items() if its.stacks == row.stack]
    return ConfigConflict(
        "objective",
        f"{name} trains {WITH_ARTICLE[row.stack]}, and base {base} is {WITH_ARTICLE[model.stacks]}: set `objective: "
        f"{objectives[0]}`{_others(objectives)}, or `base: {{family: {families[0]}}}`{_others(families)}",
    )


def _others(names: Sequence[str]) -> str:
    """What might be set instead of the first."""
    return f" (or {', '.join(names[1:])})" if names[1:] else ""


def _of_pairs(
    objective: Section, name: str, model: TransformerConfig, base: str, format: str
) -> Iterator[ConfigConflict]:
    """What tells two segments, or several tasks, apart."""
    pairs = format in PAIRS
    if pairs and model.stacks == "decoder":
        yield ConfigConflict(
            "format", f"base {base} reads no pairs, as {format} makes them: set `format: packed`"
        )
        return
    needed = {
        "segments": 6 if getattr(objective, "mode_segments", False) else 2 if pairs else 0,
        "tasks": len(getattr(objective, "of", ())) if getattr(objective, "tasks", False) else 0,
    }
    for kind, count in needed.items():
        if getattr(model, kind) < count:
            yield ConfigConflict(
                "base",
                f"objective {name} with format {format} needs a base with {count} {kind}, {base} has "
                f"{getattr(model, kind)}: set `{kind}: {count}` in base, or where that is a trained model, "
                f"{_without(kind, count, objective)}",
            )
    for setting in ("next_sentence", "tell_fakes"):
        if pairs and getattr(objective, setting, False) and not model.next_sentence:
            yield ConfigConflict(
                f"objective.{setting}",
                f"base {base} has no head that judges rows: set `{setting}: false` in the objective",
            )


def _without(kind: str, count: int, objective: Section) -> str:
    """What spares a trained model the segments or tasks that it lacks."""
    if kind == "tasks":
        return "set `tasks: false` in the objective"
    if getattr(objective, "mode_segments", False):
        return "set `mode_segments: false` in the objective"
    return (
        f"start from one with {count}" if table.row_of(objective).formats else "set `format: doc-sentences`"
    )


def of_injection(
    objective: Section, model: TransformerConfig | None, room: int, length: int
) -> Iterator[ConfigConflict]:
    """Where triples cannot be written into rows of `length` tokens, which may grow to `room`. What may be learned
    instead depends on the model; None: one that fits the objective."""
    row = table.row_of(objective)
    if row.stack == "encoder-decoder" or row.links:
        stacks = row.stack if model is None else model.stacks
        fitting = [
            name
            for name, its in table.TABLE.items()
            if its.stack == stacks != "encoder-decoder" and not its.links
        ]
        instead = f"set `objective: {fitting[0]}`{_others(fitting)}, or " if fitting else ""
        yield ConfigConflict(
            "objective",
            f"{table.name_of(objective)} does not restore tokens where they stand, so no triples can be written "
            f"beside them: {instead}leave out the input `graph`",
        )
    if room < length:
        yield ConfigConflict(
            "inject.length",
            f"{room} would cut the text, whose rows have {length} tokens: set `inject: {{length: {2 * length}}}` to "
            "have room for triples",
        )
