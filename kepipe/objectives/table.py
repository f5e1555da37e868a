"""The table of objectives: a name in the YAML → its settings, and how it is built. A new one is a file and a row."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from operator import attrgetter
from typing import TYPE_CHECKING, Annotated, Any, Union

from pydantic import BeforeValidator, Discriminator, TypeAdapter

from kepipe.config import Section, suggest
from kepipe.objectives import (
    causal,
    denoising,
    dlm,
    ernie_baidu,
    ernie_tsinghua,
    mass,
    mixture,
    mlm,
    span_masking,
    t5,
    unilm,
)

if TYPE_CHECKING:
    from kepipe.models.config import Stacks
    from kepipe.objectives.base import Objective
    from kepipe.tokenization.tokenizer import Tokenizer


@dataclass(frozen=True)
class Row:
    """An objective: its settings, how it is built of them, and what it asks of the model and its data."""

    section: type[Section]
    build: Callable[[Any, Tokenizer], Objective]
    stack: Stacks = "encoder"
    """Parts that the model must have."""
    begin: bool = True
    """Whether rows begin with the first special token ([CLS])."""
    formats: tuple[str, ...] = ()
    """Formats of which alone it can learn; (): any."""
    held_out_objective: Section | None = None
    """What measures the held-out loss, so that arms compare; None: the objective itself."""
    links: bool = False
    """Whether it can learn of entities alone, from a model that fuses them."""
    num_special_tokens: int = 0
    """Special tokens that it puts around a row's text itself: rows that have none of their own grow by so many."""
    tokens: Callable[[Tokenizer], object] = attrgetter("mask")
    """What it takes from a tokenizer; raises ValueError where that has none."""


TABLE: Mapping[str, Row] = {
    "mlm": Row(mlm.MLM, mlm.build, held_out_objective=mlm.MLM()),
    "span-masking": Row(span_masking.SpanMasking, span_masking.build, held_out_objective=mlm.MLM()),
    "ernie-baidu": Row(ernie_baidu.ErnieBaidu, ernie_baidu.build, held_out_objective=mlm.MLM()),
    "ernie-tsinghua": Row(
        ernie_tsinghua.ErnieTsinghua, ernie_tsinghua.build, held_out_objective=mlm.MLM(), links=True
    ),
    "dlm": Row(dlm.DLM, dlm.build, formats=("dialogue",)),
    "unilm": Row(unilm.UniLM, unilm.build),
    "causal-lm": Row(causal.CausalLM, causal.build_causal, "decoder", begin=False, tokens=attrgetter("sep")),
    "prefix-lm": Row(causal.PrefixLM, causal.build_prefix, "decoder", begin=False, tokens=attrgetter("sep")),
    "mass": Row(mass.Mass, mass.build, "encoder-decoder"),
    "denoising": Row(denoising.DenoisingLM, denoising.build, "encoder-decoder", num_special_tokens=2),
    "span-corruption": Row(t5.SpanCorruption, t5.build, "encoder-decoder", begin=False, tokens=t5.sentinels),
}

SECTIONS: Mapping[str, type[Section]] = {
    "mixture": mixture.Mixture,
    **{name: row.section for name, row in TABLE.items()},
}
"""Settings by name: the table's, and a mixture of them."""


def row_of(section: Section) -> Row:
    """The row of given settings; of a mixture, that of its first objective, which the others have to match."""
    if isinstance(section, mixture.Mixture):
        rows = [row_of(share.objective) for share in section.of]
        formats = next((row.formats for row in rows if row.formats), ())
        return replace(
            rows[0],
            formats=formats,
            held_out_objective=rows[0].held_out_objective or section.of[0].objective,
            links=any(row.links for row in rows),
            num_special_tokens=max(row.num_special_tokens for row in rows),
        )
    return next(row for row in TABLE.values() if isinstance(section, row.section))


def name_of(section: Section) -> str:
    """The name by which the YAML calls these settings."""
    return next(name for name, its in SECTIONS.items() if isinstance(section, its))


def parts_of(section: Section) -> list[Section]:
    """The objectives of a mixture; of any other, itself."""
    if isinstance(section, mixture.Mixture):
        return [part for share in section.of for part in parts_of(share.objective)]
    return [section]


def build(section: Section, tokenizer: Tokenizer) -> Objective:
    """The objective that the settings describe. Raises ValueError where the tokenizer lacks a token it needs."""
    if isinstance(section, mixture.Mixture):
        return mixture.build(section, tokenizer)
    return row_of(section).build(section, tokenizer)


def read(value: Any) -> Section:
    """Settings from what the YAML says: a name, or a mapping with `name`. Raises ValueError, pydantic's included."""
    if isinstance(value, Section):
        return value
    return TypeAdapter(AnyObjective).validate_python(value)


def _spell_out(value: Any) -> Any:
    """`objective: mlm` → `objective: {name: mlm}`; a name that is not in the table is a mistake."""
    spelt = {"name": value} if isinstance(value, str) else value
    if isinstance(spelt, Mapping) and spelt.get("name") not in SECTIONS:
        raise ValueError(
            f"unknown objective {spelt.get('name')!r}{suggest(str(spelt.get('name')), list(SECTIONS))}"
        )
    return spelt


if TYPE_CHECKING:
    AnyObjective = Section
else:
    AnyObjective = Annotated[
        Union[tuple(SECTIONS.values())],  # noqa: UP007
        Discriminator("name"),
        BeforeValidator(_spell_out),
    ]
    """The settings of any objective, or its name alone, as the type of a config's field."""
