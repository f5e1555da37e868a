"""Bidirectional tables of weights: a row gives the names of a weight in both formats, and the conversion.

Tables are read without importing torch, because the content of a Hugging Face folder is part of a plan.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor, nn

SUFFIXES = ("", ".weight", ".bias")


@dataclass(frozen=True)
class Row:
    """`ours` and `theirs` are names, or stems to which .weight and .bias are added; {i} is a layer's number.

    Several of `theirs` are stacked, in this order, into one of ours. `transposed`: their matrix is [in, out] (GPT-2's
    Conv1D). `leading`: theirs has an additional first axis of size 1. `flipped`: their outputs are in reverse order
    (column 0 of BERT's next-sentence head means "follows"; ours is the label, 1).
    """

    ours: str
    theirs: tuple[str, ...]
    transposed: bool = False
    leading: bool = False
    flipped: bool = False

    def to_ours(self, parts: Sequence[Tensor]) -> Tensor:
        """Their weights as one of ours."""
        if self.leading:
            parts = [part.squeeze(0) for part in parts]
        if self.transposed:
            parts = [part.t() if part.dim() == 2 else part for part in parts]
        if self.flipped:
            parts = [part.flip(0) for part in parts]
        import torch

        return parts[0].contiguous() if len(parts) == 1 else torch.cat(list(parts))

    def to_theirs(self, weight: Tensor) -> list[Tensor]:
        """One of our weights as theirs; the inverse of `to_ours`."""
        parts = list(weight.chunk(len(self.theirs))) if len(self.theirs) > 1 else [weight]
        if self.flipped:
            parts = [part.flip(0) for part in parts]
        if self.transposed:
            parts = [part.t() if part.dim() == 2 else part for part in parts]
        if self.leading:
            parts = [part.unsqueeze(0) for part in parts]
        return [part.contiguous().clone() for part in parts]


def row(
    ours: str, *theirs: str, transposed: bool = False, leading: bool = False, flipped: bool = False
) -> Row:
    """A row of a table."""
    return Row(ours, theirs, transposed, leading, flipped)


EntitySpan = tuple[str, tuple[str, ...], Row]
"""Our full name, their full names, and the row of the table."""


def expand(table: Sequence[Row], names: Mapping[str, object]) -> Iterator[EntitySpan]:
    """The table's rows for each of a model's parameter `names`; every name must have one."""
    stems = {}
    for entry in table:
        layers = _layers(entry.ours, names) if "{i}" in entry.ours else [0]
        for i in layers:
            for suffix in SUFFIXES:
                ours = entry.ours.replace("{i}", str(i)) + suffix
                theirs = tuple(name.replace("{i}", str(i)) + suffix for name in entry.theirs)
                stems[ours] = (theirs, entry)
    for name in names:
        assert name in stems, f"the table has no row for {name}"
        theirs, entry = stems[name]
        yield name, theirs, entry


def _layers(pattern: str, names: Mapping[str, object]) -> list[int]:
    start = pattern.partition("{i}")[0]
    return sorted({int(name[len(start) :].partition(".")[0]) for name in names if name.startswith(start)})


def to_ours(
    table: Sequence[Row], names: Mapping[str, object], theirs: Mapping[str, Tensor]
) -> tuple[dict[str, Tensor], list[str], list[str]]:
    """Their weights under our names, in fp32; our names that they lack; their names that the model does not have."""
    found: dict[str, Tensor] = {}
    lacking: list[str] = []
    used: set[str] = set()
    for ours, needed, entry in expand(table, names):
        if all(name in theirs for name in needed):
            found[ours] = entry.to_ours([theirs[name].float() for name in needed])
            used.update(needed)
        else:
            lacking.append(ours)
    return found, lacking, sorted(theirs.keys() - used)


def load_into(model: nn.Module, found: Mapping[str, Tensor], folder: Path, config: str = "config") -> None:
    """Set a model's parameters to the values found in `folder`.

    Raises ValueError if a shape differs from that in the file `config`.
    """
    import torch

    parameters = dict(model.named_parameters())
    with torch.no_grad():
        for name, value in found.items():
            if value.shape != parameters[name].shape:
                expected = tuple(parameters[name].shape)
                raise ValueError(f"{folder}: {name} is {tuple(value.shape)}; its {config} says {expected}")
            parameters[name].copy_(value)


def to_theirs(table: Sequence[Row], ours: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Our weights under their names."""
    made: dict[str, Tensor] = {}
    for name, theirs, entry in expand(table, ours):
        made.update(zip(theirs, entry.to_theirs(ours[name]), strict=True))
    return made
