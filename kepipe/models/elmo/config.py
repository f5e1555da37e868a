"""The config of an ELMo, and its published sizes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, NamedTuple, Self

from kepipe.models.config import CONFIG, read_values
from kepipe.models.config_values import located, require_known, require_size, require_values

if TYPE_CHECKING:
    from kepipe.models.families import Stacks
    from kepipe.models.protocols import Capability

Softmax = Literal["full", "sampled", "adaptive", "none"]
Filters = tuple[tuple[int, int], ...]
LARGEST = {"filters": 64, "filter_width": 64, "filter_count": 1 << 16, "longest": 1 << 10, "samples": 1 << 20}


class ElmoSize(NamedTuple):
    """Cell width, projection width of one direction, highway layers, filters."""

    cell: int
    projection: int
    highways: int
    filters: Filters


PUBLISHED_FILTERS: Filters = ((1, 32), (2, 32), (3, 64), (4, 128), (5, 256), (6, 512), (7, 1024))
SMALL_FILTERS: Filters = ((1, 16), (2, 16), (3, 32), (4, 64), (5, 128))
SIZES: Mapping[str, ElmoSize] = {
    "tiny": ElmoSize(128, 64, 1, SMALL_FILTERS),
    "mini": ElmoSize(256, 128, 1, SMALL_FILTERS),
    "small": ElmoSize(1024, 128, 1, PUBLISHED_FILTERS),
    "medium": ElmoSize(2048, 256, 1, PUBLISHED_FILTERS),
    "original": ElmoSize(4096, 512, 2, PUBLISHED_FILTERS),
}
"""The published sizes, and two smaller ones."""


@dataclass(frozen=True, kw_only=True)
class ElmoConfig:
    """`projection`: width of a layer's input and output in one direction, half of `hidden`; `cell`: width of its cells;
    `filters`: (width in characters, number) of each kind; `longest`: maximum characters of a word, including its
    beginning and end. A clip of 0 is off. `softmax`: how the next word is predicted; "none": it is not, as in the
    published files. `cutoffs`: upper bounds, in ranks, of the clusters of the adaptive softmax. `mixture`: as an
    encoder, mix the layers; false: the states of the last layer."""

    format: ClassVar[str] = "kepipe-elmo/1"
    reads_trees: ClassVar[bool] = False
    masks_documents: ClassVar[bool] = True
    positions: ClassVar[int] = 0
    segments: ClassVar[int] = 0
    tasks: ClassVar[int] = 0
    causal: ClassVar[bool] = False
    begins_with_cls: ClassVar[bool] = True
    next_sentence: ClassVar[bool] = False
    carries_state: ClassVar[bool] = True
    start: ClassVar[int | None] = None

    family: str = "elmo"
    vocabulary: int
    layers: int = 2
    cell: int = 4096
    projection: int = 512
    highways: int = 2
    filters: Filters = PUBLISHED_FILTERS
    character_width: int = 16
    longest: int = 50
    activation: Literal["relu", "tanh"] = "relu"
    cell_clip: float = 3.0
    projection_clip: float = 3.0
    skip: bool = True
    softmax: Softmax = "full"
    samples: int = 8192
    cutoffs: tuple[int, ...] = ()
    mixture: bool = True
    dropout: float = 0.0

    def __post_init__(self) -> None:
        require_values(self)
        for name in ("vocabulary", "layers", "cell", "projection", "character_width", "longest", "samples"):
            require_size(name, getattr(self, name), 1 << 24, least=1)
        require_size("highways", self.highways, 64)
        require_size("longest", self.longest, LARGEST["longest"], least=3)
        if not 1 <= len(self.filters) <= LARGEST["filters"]:
            raise ValueError(f"`filters`: expected from 1 to {LARGEST['filters']} kinds")
        for width, count in self.filters:
            require_size("filters", width, min(self.longest, LARGEST["filter_width"]), least=1)
            require_size("filters", count, LARGEST["filter_count"], least=1)
        if self.cell < self.projection:
            raise ValueError(
                f"cells of width {self.cell} are narrower than their projection, {self.projection}"
            )

    @property
    def hidden(self) -> int:
        """Width of the hidden states: both directions."""
        return 2 * self.projection

    @property
    def stacks(self) -> Stacks:
        """See `TrainableConfig`."""
        return "encoder"

    @property
    def objectives(self) -> frozenset[str]:
        """See `TrainableConfig`."""
        return frozenset({"bidirectional-lm"})

    @property
    def capabilities(self) -> frozenset[Capability]:
        """See `ModelConfig`."""
        return frozenset({"encoder"} if self.softmax == "none" else {"encoder", "language-model"})

    def to_json(self) -> dict[str, Any]:
        """Plain values for `config.json`."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """The inverse of `to_json`. Raises ValueError for unknown keys."""
        require_known(values, cls)
        filters = tuple((int(width), int(count)) for width, count in values.get("filters", PUBLISHED_FILTERS))
        return cls(**{**values, "filters": filters, "cutoffs": tuple(values.get("cutoffs", ()))})


def read_elmo_config(folder: Path) -> ElmoConfig:
    """The config of a folder of ELMo. Raises ValueError if there is none."""
    with located(folder / CONFIG):
        return ElmoConfig.from_json(read_values(folder, ElmoConfig.format))
