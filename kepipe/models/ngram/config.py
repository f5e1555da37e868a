"""The config of an n-gram model, and its settings under `base:`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from kepipe.models.config import CONFIG, read_values
from kepipe.models.config_values import located, require_known, require_size
from kepipe.models.fitted_base import FittedBase
from kepipe.models.ngram.smoothing import SmoothingName, described

if TYPE_CHECKING:
    from kepipe.models.protocols import Capability

LONGEST = 6
"""Maximum order."""
WIDEST = 30
"""Maximum number of bits of a word's id."""


class NgramBase(FittedBase):
    """An n-gram model."""

    family: Literal["ngram"] = "ngram"
    """The next word is predicted from the words before it, by counts."""
    order: int = Field(5, ge=1, le=LONGEST)
    """Length of the longest n-grams in words: the last word is predicted from the others."""
    smoothing: SmoothingName = Field("kneser-ney", description=f"{described()}.")
    k: float = Field(1.0, gt=0)
    """The number added to every count with `smoothing: add-k`."""
    prune: tuple[int, ...] = (0,)
    """Pruning thresholds for orders 1, 2, …, the last one for all higher orders: n-grams with at most this count are
    left out. `[0, 0, 1]` leaves out singletons from order 3 on. The first must be 0, and they must not decrease."""
    sentences: bool = False
    """Whether sentences are separate texts, as in published n-gram models; otherwise n-grams cross sentence boundaries
    within a document, which suits continuing a text in the middle. Only fitting and its held-out loss mark sentences:
    other perplexities of such a model are computed without the marks, and are not comparable with those of other
    models."""

    @model_validator(mode="after")
    def _fits(self) -> NgramBase:
        from kepipe.models.ngram.pruning import Pruning

        Pruning.of(self.prune, self.order)
        if self.smoothing != "add-k" and "k" in self.model_fields_set:
            raise ValueError(f"k is a setting of `smoothing: add-k`: leave it out with {self.smoothing}")
        return self

    def configure(self, vocabulary: int) -> NgramConfig:
        """See `FittedBase`."""
        return NgramConfig(
            order=self.order,
            bits=1,
            smoothing=self.smoothing,
            sentences=self.sentences,
            vocabulary=vocabulary,
        )


@dataclass(frozen=True, kw_only=True)
class NgramConfig:
    """`bits`: bits of a word's id in the keys of the tables; `vocabulary`: number of tokens of the tokenizer."""

    format: ClassVar[str] = "kepipe-ngram/1"

    order: int
    bits: int
    vocabulary: int
    smoothing: str = ""
    """Empty: unknown, imported from an ARPA file."""
    sentences: bool = False

    def __post_init__(self) -> None:
        for name, highest in (("order", LONGEST), ("bits", WIDEST), ("vocabulary", 1 << WIDEST)):
            require_size(name, getattr(self, name), highest, least=1)

    @property
    def capabilities(self) -> frozenset[Capability]:
        """See `ModelConfig`."""
        return frozenset({"language-model"})

    def to_json(self) -> dict[str, Any]:
        """Plain values for `config.json`."""
        return {"format": self.format, **asdict(self)}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """The inverse of `to_json`. Raises ValueError for keys that this version does not know."""
        require_known(values, cls)
        return cls(**values)


def read_ngram_config(folder: Path) -> NgramConfig:
    """The config of an n-gram model's folder. Raises ValueError if there is none."""
    with located(folder / CONFIG):
        return NgramConfig.from_json(read_values(folder, NgramConfig.format))
