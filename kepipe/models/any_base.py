"""`base:` with any family: a transformer's (`Base`), a network's (`NetworkBase`), or a fitted one (`FittedBase`)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Any, Protocol, Union

from pydantic import ValidationInfo, ValidatorFunctionWrapHandler, WrapValidator

from kepipe.config import suggest
from kepipe.models.base import Base, configure
from kepipe.models.elmo.family import ELMO
from kepipe.models.families import FAMILIES, Published
from kepipe.models.fitted_families import FITTED, FittedFamily
from kepipe.models.fresh_base import FreshBase
from kepipe.models.networks.config import NetworkBase, TokenTableBase
from kepipe.models.networks.families import NETWORKS

if TYPE_CHECKING:
    from kepipe.arrays import Ints
    from kepipe.models.protocols import TrainableEncoder
    from kepipe.tokenization.tokenizer import Tokenizer


class TrainedFamily(Protocol):
    """The row of a family outside the configurable `Transformer` that the training loop trains."""

    @property
    def section(self) -> type[NetworkBase]:
        """Its settings."""
        ...

    @property
    def about(self) -> str:
        """What it is, in the words of docs/zoo.md."""
        ...

    @property
    def published(self) -> Published:
        """Published training settings."""
        ...

    def build(
        self,
        base: Any,
        tokenizer: Tokenizer,
        seed: int,
        note: Callable[[str], None],
        counts: Ints | None,
    ) -> TrainableEncoder:
        """A fresh model over a tokenizer's tokens, on the CPU in fp32 (see `build`)."""
        ...


TRAINED: Mapping[str, TrainedFamily] = {**NETWORKS, "elmo": ELMO}
"""Families outside the configurable `Transformer` that the training loop trains."""
OTHERS: Mapping[str, TrainedFamily | FittedFamily] = {**TRAINED, **FITTED}
"""All families outside the configurable `Transformer`."""


def families_that_write() -> str:
    """The names of all families that are language models, for messages."""
    transformers = [name for name, family in FAMILIES.items() if family.decoder]
    others = [
        name
        for name, row in OTHERS.items()
        if "language-model" in row.section.model_validate({"family": name}).configure(1).capabilities
    ]
    return ", ".join([*transformers, *others])


def token_width(base: Base | TokenTableBase) -> tuple[str, int]:
    """The setting for the width of a fresh model's token embeddings, and its value."""
    if isinstance(base, TokenTableBase):
        return "embedding", base.embedding
    return "hidden", configure(base, 1).hidden


def build(
    base: TrainedBase,
    tokenizer: Tokenizer,
    seed: int,
    note: Callable[[str], None] = lambda _: None,
    counts: Ints | None = None,
) -> TrainableEncoder:
    """The model of `base`: a fresh one of any trained family, or a pretrained transformer. See
    `kepipe.models.base.build`."""
    from kepipe.models import base as transformers

    if isinstance(base, NetworkBase):
        return TRAINED[base.family].build(base, tokenizer, seed, note, counts)
    special = {"pad": tokenizer.pad, "sep": tokenizer.sep}
    return transformers.build(base, tokenizer.vocab_size, seed, note, special, counts, tokenizer)


def _read(value: Any, _: ValidatorFunctionWrapHandler, info: ValidationInfo) -> Base | FreshBase:
    """The settings, as those of the family that they name; of a transformer if they name none."""
    if isinstance(value, Base | FreshBase):
        return value
    family = value.get("family") if isinstance(value, Mapping) else None
    known = [*FAMILIES, *OTHERS]
    if isinstance(family, str) and family not in known:
        raise ValueError(f"unknown family {family!r}{suggest(family, known)}")
    row = OTHERS.get(family) if isinstance(family, str) else None
    section = Base if row is None else row.section
    return section.model_validate(value, context=info.context)


def _read_trained(value: Any, handler: ValidatorFunctionWrapHandler, info: ValidationInfo) -> TrainedBase:
    """The same for families that the training loop trains."""
    read = _read(value, handler, info)
    if not isinstance(read, Base | NetworkBase):
        raise ValueError(
            f"{read.family} is fitted by a stage `pretrain`: fit it there, and start from its model"
        )
    return read


if TYPE_CHECKING:
    AnyBase = Base | FreshBase
    TrainedBase = Base | NetworkBase
else:
    AnyBase = Annotated[Union[(Base, *(row.section for row in OTHERS.values()))], WrapValidator(_read)]
    """The settings of any family, as the type of a config's field."""
    TrainedBase = Annotated[
        Union[(Base, *(row.section for row in TRAINED.values()))], WrapValidator(_read_trained)
    ]
    """The settings of any family that the training loop trains."""
