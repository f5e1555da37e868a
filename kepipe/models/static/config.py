"""The config of static vectors, and the settings of their families under `base:`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from kepipe.models.config import CONFIG, read_values
from kepipe.models.config_values import as_written, located, read_part, require_known, require_values
from kepipe.models.fitted_base import FittedBase

if TYPE_CHECKING:
    from kepipe.models.protocols import Capability


@dataclass(frozen=True, kw_only=True)
class StaticConfig:
    """A table of vectors. `hidden`: their width; `special`: the ids of special tokens (see
    `kepipe.models.static.encoder`)."""

    format: ClassVar[str] = "kepipe-static/1"
    reads_trees: ClassVar[bool] = False
    carries_state: ClassVar[bool] = False
    positions: ClassVar[int] = 0
    segments: ClassVar[int] = 0
    causal: ClassVar[bool] = False
    begins_with_cls: ClassVar[bool] = True
    start: ClassVar[int | None] = None

    family: str
    vocabulary: int
    hidden: int
    special: tuple[int, ...] = ()
    subwords: Subwords | None = None

    def __post_init__(self) -> None:
        require_values(self)
        if self.vocabulary < 1 or self.hidden < 1:
            raise ValueError(f"invalid table size: {self.vocabulary} vectors of width {self.hidden}")
        if any(type(token) is not int or not 0 <= token < self.vocabulary for token in self.special):
            raise ValueError(f"`special`: expected tokens from 0 to {self.vocabulary - 1:,}")

    @property
    def capabilities(self) -> frozenset[Capability]:
        """See `ModelConfig`."""
        return frozenset({"encoder"})

    def to_json(self) -> dict[str, Any]:
        """Plain values for `config.json`."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """The inverse of `to_json`. Raises ValueError for unknown keys."""
        require_known(values, cls)
        return cls(
            **{
                **values,
                "special": tuple(values.get("special", ())),
                "subwords": read_part(values, "subwords", Subwords),
            }
        )


@dataclass(frozen=True, kw_only=True)
class Subwords:
    """fastText's subwords: character n-grams of `shortest` to `longest` characters, including `<` and `>` at the ends
    of a word, hashed into `buckets`."""

    shortest: int
    longest: int
    buckets: int

    def __post_init__(self) -> None:
        values = (self.shortest, self.longest, self.buckets)
        if any(type(value) is not int for value in values) or not 1 <= self.shortest <= self.longest <= 64:
            raise ValueError(f"`subwords`: expected lengths from 1 to 64, found {as_written(list(values))}")
        if not 1 <= self.buckets <= 1 << 24:
            raise ValueError(f"`subwords`: expected up to {1 << 24:,} buckets, found {self.buckets}")


def read_static_config(folder: Path) -> StaticConfig:
    """The config of a folder of static vectors. Raises ValueError if there is none."""
    with located(folder / CONFIG):
        return StaticConfig.from_json(read_values(folder, StaticConfig.format))


class StaticBase(FittedBase):
    """Settings of all static vectors."""

    hidden: int = Field(100, ge=1, le=4096)
    """Width of the vectors."""
    min_count: int = Field(5, ge=1)
    """Minimum count of a word; rarer words get no vector."""

    def configure(self, vocabulary: int) -> StaticConfig:
        """See `FittedBase`."""
        return StaticConfig(family=self.family, vocabulary=vocabulary, hidden=self.hidden)


class Word2vecBase(StaticBase):
    """word2vec (Mikolov et al. 2013)."""

    family: Literal["word2vec"] = "word2vec"
    """A word is predicted from its neighbours, or they from the word."""
    architecture: Literal["skip-gram", "cbow"] = "skip-gram"
    """skip-gram: each neighbour is predicted from the word in the middle; cbow: the word from the mean of its
    neighbours."""
    loss: Literal["negative-sampling", "hierarchical-softmax"] = "negative-sampling"
    """Training against randomly drawn words (negative sampling), or along a Huffman tree (hierarchical softmax)."""
    negatives: int = Field(5, ge=1)
    """Negative samples per true word, drawn by frequency to the power of 0.75."""
    window: int = Field(5, ge=1)
    """Maximum distance of neighbours; the actual one is drawn from 1 to this for each word."""
    subsample: float = Field(1e-3, ge=0)
    """Threshold of subsampling: words with a larger share of the text are skipped at random, frequent ones more often;
    0: off."""
    epochs: int = Field(5, ge=1)
    """Passes over the text."""
    learning_rate: float = Field(0.025, gt=0)
    """Initial learning rate; it decays linearly to 1e-4."""
    workers: int = Field(1, ge=1)
    """Number of threads. With several, results differ from run to run."""

    @model_validator(mode="after")
    def _fits(self) -> Word2vecBase:
        if self.loss != "negative-sampling" and "negatives" in self.model_fields_set:
            raise ValueError(f"`negatives` applies to negative-sampling only: remove it with {self.loss}")
        return self


class FastTextBase(Word2vecBase):
    """fastText (Bojanowski et al. 2017)."""

    family: Literal["fasttext"] = "fasttext"  # type: ignore[assignment]
    """word2vec on subwords: a word is the sum of its character n-grams."""
    shortest: int = Field(3, ge=1, le=64)
    """Minimum length of subwords in characters, including `<` and `>` at the ends of a word."""
    longest: int = Field(6, ge=1, le=64)
    """Maximum length of subwords in characters."""
    buckets: int = Field(200_000, ge=1, le=1 << 24)
    """Number of hash buckets for subword vectors; fastText's release has 2,000,000."""

    @model_validator(mode="after")
    def _orders(self) -> FastTextBase:
        if self.shortest > self.longest:
            raise ValueError(f"shortest ({self.shortest}) is above longest ({self.longest})")
        return self

    @property
    def subwords(self) -> Subwords:
        """The subword settings as in a model's config."""
        return Subwords(shortest=self.shortest, longest=self.longest, buckets=self.buckets)


class GloveBase(StaticBase):
    """GloVe (Pennington et al. 2014)."""

    family: Literal["glove"] = "glove"
    """The dot product of two vectors approximates the logarithm of the words' co-occurrence count."""
    window: int = Field(10, ge=1)
    """Maximum distance of co-occurring words; a pair at distance d counts 1 / d."""
    x_max: float = Field(100.0, gt=0)
    """Minimum count of a pair with full weight."""
    alpha: float = Field(0.75, gt=0)
    """Exponent: pairs with smaller counts have the weight (count / x_max)^alpha."""
    epochs: int = Field(25, ge=1)
    """Passes over the pairs."""
    learning_rate: float = Field(0.05, gt=0)
    """Learning rate of AdaGrad."""


class RandomVectorsBase(StaticBase):
    """Random vectors, as a control for learned ones."""

    family: Literal["random-vectors"] = "random-vectors"
    """A random vector per word, from a normal distribution."""
    norm: float = Field(1.0, gt=0)
    """Mean norm of the vectors; set it to that of the vectors to compare with."""
