"""The table of objectives: name in the YAML → settings, how the objective is built, and its requirements.

A new objective is a file and a row. The file of a row has the settings and `build`, and is imported for every pipeline,
so it does not import torch at its top; collators and losses, which do, have files of their own
(`masked_lm.py`, `unilm_collator.py`, `bidirectional_collator.py`, `losses.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from operator import attrgetter
from typing import TYPE_CHECKING, Annotated, Any, Union

from pydantic import BeforeValidator, Discriminator, TypeAdapter

from kepipe.config import named_section
from kepipe.objectives import (
    bidirectional,
    causal,
    denoising,
    dlm,
    mass,
    mlm,
    permutation,
    span_masking,
    t5,
    unilm,
)
from kepipe.objectives.contrastive import entity_descriptions, simcse, text_pairs
from kepipe.objectives.contrastive import settings as contrastive
from kepipe.objectives.ernie2 import (
    capitalisation,
    discourse_relation,
    ir_relevance,
    labelled,
    sentence_distance,
    sentence_reordering,
    token_document,
)
from kepipe.objectives.mixture import Mixture
from kepipe.objectives.settings import ObjectiveSettings
from kepipe.objectives.turns import SCHEDULES

if TYPE_CHECKING:
    from kepipe.data.row_batches import RowStream
    from kepipe.models.families import Stacks
    from kepipe.models.prompt_styles import PromptStyle
    from kepipe.objectives.base import Objective
    from kepipe.objectives.ernie2.labelled import Text
    from kepipe.tokenization.tokenizer import Tokenizer


@dataclass(frozen=True)
class Row:
    """An objective: its settings, how it is built from them, and its requirements of model and data."""

    section: type[ObjectiveSettings]
    build: Callable[[Any, Tokenizer], Objective]
    stack: Stacks = "encoder"
    """The stacks that the model must have."""
    families: tuple[str, ...] = ()
    """The only families that it trains; (): all families with these stacks."""
    begin: bool = True
    """Whether rows begin with the first special token ([CLS])."""
    formats: tuple[str, ...] = ()
    """The only row formats that it can be trained on; (): any."""
    held_out_objective: ObjectiveSettings | None = None
    """The objective by which the held-out loss is measured, so that arms compare; None: the objective itself."""
    masks_units: bool = False
    """Whether its collator is a `MaskedCollator`, whose `select` a knowledge method may replace; of a mixture, whether
    that is true of all its objectives that mask tokens."""
    num_special_tokens: int = 0
    """Number of special tokens that its collator adds to a row that comes without any."""
    prompt_style: PromptStyle | None = None
    """Prompt style of a model trained with it; None: that of its family, or it does not generate."""
    tokens: Callable[[Tokenizer], object] = attrgetter("mask")
    """Reads what the objective needs from a tokenizer; raises ValueError if the tokenizer lacks it."""
    rows: Callable[[Any, Text], RowStream] | None = None
    """Makes the objective's own rows, with labels, from a text; None: it uses rows of the stage's format."""


TABLE: Mapping[str, Row] = {
    "mlm": Row(mlm.MLM, mlm.build, held_out_objective=mlm.MLM(), masks_units=True),
    "span-masking": Row(
        span_masking.SpanMasking, span_masking.build, held_out_objective=mlm.MLM(), masks_units=True
    ),
    "dlm": Row(dlm.DLM, dlm.build, formats=("dialogue",), masks_units=True),
    "unilm": Row(unilm.UniLM, unilm.build),
    "capitalisation": Row(
        capitalisation.Capitalisation,
        labelled.build_tokens,
        tokens=capitalisation.require_lowercase,
        rows=capitalisation.rows,
    ),
    "token-document": Row(
        token_document.TokenDocument,
        labelled.build_tokens,
        tokens=attrgetter("cls"),
        rows=token_document.rows,
    ),
    "sentence-reordering": Row(
        sentence_reordering.SentenceReordering,
        labelled.build_rows,
        tokens=attrgetter("cls"),
        rows=sentence_reordering.rows,
    ),
    "sentence-distance": Row(
        sentence_distance.SentenceDistance,
        labelled.build_rows,
        tokens=attrgetter("cls"),
        rows=sentence_distance.rows,
    ),
    "discourse-relation": Row(
        discourse_relation.DiscourseRelation,
        labelled.build_rows,
        tokens=attrgetter("cls"),
        rows=discourse_relation.rows,
    ),
    "ir-relevance": Row(ir_relevance.IRRelevance, labelled.build_rows, rows=ir_relevance.rows),
    "simcse": Row(simcse.SimCSE, contrastive.build, tokens=attrgetter("cls"), rows=simcse.rows),
    "text-pairs": Row(
        text_pairs.TextPairs, contrastive.build, tokens=attrgetter("cls"), rows=text_pairs.rows
    ),
    "entity-descriptions": Row(
        entity_descriptions.EntityDescriptions,
        contrastive.build,
        tokens=attrgetter("cls"),
        rows=entity_descriptions.rows,
    ),
    "causal-lm": Row(
        causal.CausalLM,
        causal.build_causal,
        "decoder",
        begin=False,
        prompt_style="append",
        tokens=attrgetter("sep"),
    ),
    "prefix-lm": Row(
        causal.PrefixLM,
        causal.build_prefix,
        "decoder",
        begin=False,
        prompt_style="prefix",
        tokens=attrgetter("sep"),
    ),
    "bidirectional-lm": Row(
        bidirectional.BidirectionalLM, bidirectional.build, families=("elmo",), tokens=attrgetter("sep")
    ),
    "permutation-lm": Row(
        permutation.PermutationLM,
        permutation.build,
        families=("xlnet",),
        begin=False,
        tokens=attrgetter("sep"),
    ),
    "mass": Row(mass.Mass, mass.build, "encoder-decoder", prompt_style="fragment"),
    "denoising": Row(
        denoising.DenoisingLM, denoising.build, "encoder-decoder", num_special_tokens=2, prompt_style="infill"
    ),
    "span-corruption": Row(
        t5.SpanCorruption,
        t5.build,
        "encoder-decoder",
        begin=False,
        prompt_style="sentinel",
        tokens=t5.sentinels,
    ),
}

SECTIONS: Mapping[str, type[ObjectiveSettings]] = {
    "mixture": Mixture,
    **{name: row.section for name, row in TABLE.items()},
}
"""Settings by name: the table's, and a mixture of them."""


def row_of(section: ObjectiveSettings) -> Row:
    """The row of these settings; of a mixture, the row of its first objective, adjusted to the others."""
    if isinstance(section, Mixture):
        rows = [row_of(objective) for objective in section.objectives]
        return replace(
            rows[0],
            formats=next((row.formats for row in rows if row.formats), ()),
            held_out_objective=rows[0].held_out_objective or section.objectives[0],
            masks_units=any(row.masks_units for row in rows)
            and all(row.masks_units or row.rows is not None for row in rows),
            rows=None,
            num_special_tokens=max(row.num_special_tokens for row in rows),
        )
    return next(row for row in TABLE.values() if isinstance(section, row.section))


def name_of(section: ObjectiveSettings) -> str:
    """The objective's name in the YAML."""
    return next(name for name, its in SECTIONS.items() if isinstance(section, its))


def parts_of(section: ObjectiveSettings) -> list[ObjectiveSettings]:
    """The objectives of a mixture; of any other, itself."""
    if isinstance(section, Mixture):
        return [part for objective in section.objectives for part in parts_of(objective)]
    return [section]


def build(
    section: ObjectiveSettings,
    tokenizer: Tokenizer,
    extend: Callable[[Objective], Objective] = lambda objective: objective,
    text: Text | None = None,
) -> Objective:
    """The objective that the settings describe. `extend` is applied to it, or to each objective of a mixture. `text`:
    what an objective's own rows are made from; None: no own rows are made.

    Raises ValueError if the tokenizer lacks a token that is needed, or no rows can be made.
    """
    if isinstance(section, Mixture):
        from kepipe.objectives.task_mixture import task_mixture

        return task_mixture(
            [build(objective, tokenizer, extend, text) for objective in section.objectives],
            [name_of(objective) for objective in section.objectives],
            SCHEDULES[section.schedule](
                [share.weight for share in section.of], [share.joins for share in section.of]
            ),
            section.tasks,
        )
    row = row_of(section)
    objective = row.build(section, tokenizer)
    if row.rows is not None and text is not None:
        objective = replace(objective, rows=row.rows(section, text))
    return extend(objective)


def read(value: Any, context: Any = None) -> ObjectiveSettings:
    """Settings from what the YAML says: a name, or a mapping with `name`. `context`: of the validation of the file.
    Raises ValueError, pydantic's included."""
    if isinstance(value, ObjectiveSettings):
        return value
    return TypeAdapter(AnyObjective).validate_python(value, context=context)


if TYPE_CHECKING:
    AnyObjective = ObjectiveSettings
else:
    AnyObjective = Annotated[
        Union[tuple(SECTIONS.values())],  # noqa: UP007
        Discriminator("name"),
        BeforeValidator(named_section("name", "objective", SECTIONS)),
    ]
    """The settings of any objective, or its name alone, as the type of a config's field."""
