"""The table of objectives: a name in the YAML → its settings, and how it is built. A new one is a file and a row."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union

from pydantic import BeforeValidator, Discriminator

from kepipe.config import Section, nearest
from kepipe.objectives import ernie_baidu, mlm

if TYPE_CHECKING:
    from kepipe.corpus.tokenizer import Tokenizer
    from kepipe.objectives.contract import Objective

Stack = Literal["encoder", "decoder", "encoder-decoder"]


@dataclass(frozen=True)
class Row:
    """An objective: its settings, how it is built of them, and what it asks of the model and its data."""

    section: type[Section]
    build: Callable[[Any, Tokenizer], Objective]
    stack: Stack = "encoder"
    """Parts that the model must have."""
    begin: bool = True
    """Whether rows begin with the first special token ([CLS])."""
    yardstick: Section | None = None
    """What measures the held-out loss, so that arms compare; None: the objective itself."""


TABLE: Mapping[str, Row] = {
    "mlm": Row(mlm.MLM, mlm.build, yardstick=mlm.MLM()),
    "ernie-baidu": Row(ernie_baidu.ErnieBaidu, ernie_baidu.build, yardstick=mlm.MLM()),
}


def row_of(section: Section) -> Row:
    """The row of given settings."""
    return next(row for row in TABLE.values() if isinstance(section, row.section))


def build(section: Section, tokenizer: Tokenizer) -> Objective:
    """The objective that the settings describe. Raises ValueError where the tokenizer lacks a token it needs."""
    return row_of(section).build(section, tokenizer)


def _spell_out(value: Any) -> Any:
    """`objective: mlm` → `objective: {name: mlm}`; a name that is not in the table is a mistake."""
    spelt = {"name": value} if isinstance(value, str) else value
    if isinstance(spelt, Mapping):
        name = spelt.get("name")
        if name not in TABLE:
            raise ValueError(f"unknown objective {name!r}{nearest(str(name), list(TABLE))}")
    return spelt


if TYPE_CHECKING:
    AnyObjective = Section
else:
    AnyObjective = Annotated[
        Union[tuple(row.section for row in TABLE.values())],  # noqa: UP007
        Discriminator("name"),
        BeforeValidator(_spell_out),
    ]
    """The settings of any objective, or its name alone, as the type of a config's field."""
