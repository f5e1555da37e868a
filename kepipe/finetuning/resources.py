"""What the answers of a task depend on besides the model's weights, such as an index of a graph's entities.

A task whose row has a `ResourceKind` gets one when training starts; it is saved in the model folder.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from kepipe.finetuning.examples import Example
from kepipe.finetuning.rows import Row

if TYPE_CHECKING:
    from kepipe.finetuning.mention_finders import Language
    from kepipe.models.protocols import TrainableEncoder
    from kepipe.tokenization.tokenizer import Tokenizer

Folders = Mapping[str, Path | None]
"""`graph`, `linker`, …: the folder of each input of a stage; None: not given."""


class Resource(Protocol):
    """A resource of a task, the same in training, evaluation and prediction."""

    def annotate(self, rows: Sequence[Row], examples: Sequence[Example]) -> list[Row]:
        """The rows with what the resource knows of their texts. `examples`: those that `Row.example` numbers."""
        ...

    def save(self, folder: Path) -> None:
        """Write it into a model folder."""
        ...


@dataclass(frozen=True)
class ResourceKind:
    """`make`: from the inputs of a stage, its tokenizer and its encoder; raises ValueError with a remedy if they do not
    suffice. `open`: what `save` wrote; raises ValueError if it is missing or damaged. `inputs`: the inputs of the stage
    that `make` needs."""

    make: Callable[[Folders, Tokenizer, TrainableEncoder, Language], Resource]
    open: Callable[[Path, Language], Resource]
    inputs: tuple[str, ...]
