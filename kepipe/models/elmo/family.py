"""ELMo under `base: {family: elmo}`: its settings, and the construction of a new model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

from pydantic import Field, model_validator

from kepipe.models.elmo.config import SIZES, ElmoConfig, ElmoSize
from kepipe.models.families import Published
from kepipe.models.networks.config import NetworkBase

if TYPE_CHECKING:
    from kepipe.arrays import Ints
    from kepipe.models.elmo.model import Elmo
    from kepipe.tokenization.tokenizer import Tokenizer


class ElmoBase(NetworkBase):
    """ELMo (Peters et al. 2018)."""

    family: Literal["elmo"] = "elmo"
    """Character-based words, read by LSTMs in both directions; a task mixes their layers."""
    size: Literal[tuple(SIZES)] = "mini"  # type: ignore[valid-type]
    """A published size: small, medium, original; or a smaller one: tiny, mini."""
    layers: int = Field(2, ge=1, le=64)
    """Number of LSTM layers."""
    cell: int | None = Field(None, ge=1, le=1 << 16)
    """Width of the cells, overriding the size's."""
    projection: int | None = Field(None, ge=1, le=1 << 14)
    """Width of a layer's input and output in one direction, overriding the size's: half of the hidden states."""
    cell_clip: float = Field(3.0, ge=0)
    """Cell states are clipped to this absolute value; 0: no clipping."""
    projection_clip: float = Field(3.0, ge=0)
    """Projected outputs are clipped to this absolute value; 0: no clipping."""
    softmax: Literal["full", "sampled", "adaptive"] = "full"
    """Softmax over the vocabulary: full; sampled in training, as published; or adaptive, with clusters of rare words in
    a smaller space. The last two are faster for large vocabularies."""
    samples: int = Field(8192, ge=1, le=1 << 20)
    """Number of sampled words per batch, with `softmax: sampled`."""
    cutoffs: tuple[int, ...] = ()
    """Upper bounds of the clusters in ranks of frequency, with `softmax: adaptive`; default: a tenth of the vocabulary,
    a third of the rest, and the remainder."""

    @model_validator(mode="after")
    def _fits(self) -> ElmoBase:
        for name, softmax in (("samples", "sampled"), ("cutoffs", "adaptive")):
            if name in self.model_fields_set and self.softmax != softmax:
                raise ValueError(
                    f"{name} apply to `softmax: {softmax}` only: remove them with {self.softmax}"
                )
        if list(self.cutoffs) != sorted({cut for cut in self.cutoffs if cut > 0}):
            raise ValueError(f"cutoffs: expected increasing positive numbers, found {list(self.cutoffs)}")
        if self._size.cell < self._size.projection:
            raise ValueError(
                f"cells of width {self._size.cell} are narrower than their projection, {self._size.projection}: set a "
                "larger `cell` or a smaller `projection`"
            )
        return self

    @property
    def _size(self) -> ElmoSize:
        size = SIZES[self.size]
        return size._replace(cell=self.cell or size.cell, projection=self.projection or size.projection)

    def configure(self, vocabulary: int) -> ElmoConfig:
        """See `FreshBase`."""
        size = self._size
        return ElmoConfig(
            vocabulary=vocabulary,
            layers=self.layers,
            cell=size.cell,
            projection=size.projection,
            highways=size.highways,
            filters=size.filters,
            cell_clip=self.cell_clip,
            projection_clip=self.projection_clip,
            softmax=self.softmax,
            samples=self.samples,
            cutoffs=self.cutoffs,
            dropout=self.dropout,
        )


@dataclass(frozen=True)
class ElmoFamily:
    """A `TrainedFamily`."""

    section: type[ElmoBase] = ElmoBase
    about: str = "character-based words, LSTMs in both directions; a task mixes their layers"
    published: Published = field(
        default_factory=lambda: {  # the released code, bilm-tf; its loss is 20 times ours, and clipped to 10
            "optimizer": "adagrad",
            "learning_rate": 0.2,
            "warmup": 0.0,
            "schedule": "constant",
            "weight_decay": 0.0,
            "max_grad_norm": 0.5,
        }
    )

    def build(
        self,
        base: ElmoBase,
        tokenizer: Tokenizer,
        seed: int,
        note: Callable[[str], None],
        counts: Ints | None,
    ) -> Elmo:
        """See `TrainedFamily`. Raises ValueError for cutoffs beyond the vocabulary."""
        from kepipe.models.elmo.initialise import initialise
        from kepipe.models.elmo.model import Elmo, spelled
        from kepipe.models.elmo.softmax import cutoffs_for
        from kepipe.models.elmo.spelling import knows_words_alone

        config = base.configure(tokenizer.vocab_size)
        constants = spelled(tokenizer, config)
        words = len(constants.classes.tokens)
        if config.softmax == "adaptive":
            config = replace(config, cutoffs=config.cutoffs or cutoffs_for(words))
            if config.cutoffs[-1] >= words:
                raise ValueError(
                    f"base: the tokenizer has {words:,} words, but the last cutoff is {config.cutoffs[-1]:,}: set "
                    "lower `cutoffs`, or remove them"
                )
        if knows_words_alone(tokenizer):
            note(
                "the tokenizer maps unknown words to one token without characters: `tokenizer: {kind: words-or-bytes}` "
                "spells them"
            )
        return initialise(Elmo(config, constants), seed, counts)


ELMO = ElmoFamily()
