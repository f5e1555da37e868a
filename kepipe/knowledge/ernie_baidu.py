"""`ernie-baidu`: knowledge masking in stages, basic → phrase → entity (Sun et al. 2019, "ERNIE: Enhanced Representation
through Knowledge Integration", §3.2).

The graph only determines which words form a name: linked mentions are masked as a whole. The model gets no facts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from pydantic import Field, model_validator

from kepipe.config import ConfigConflict, Section
from kepipe.knowledge.base import (
    Control,
    KnowledgeContext,
    KnowledgeMethod,
    KnowledgeSettings,
    LearnedKnowledge,
    Sources,
)

if TYPE_CHECKING:
    from kepipe.arrays import Bools
    from kepipe.data.batch import TokenRows
    from kepipe.models.protocols import EncoderConfig
    from kepipe.noise.draws import Draws
    from kepipe.objectives.base import Objective

Level = Literal["basic", "phrase", "entity"]


class Stages(Section):
    """Shares of the training steps for each level, in this order. Only the ratios matter."""

    basic: float = Field(1, ge=0)
    """Single tokens: sub-words, Chinese characters."""
    phrase: float = Field(1, ge=0)
    """Whole phrases, and words elsewhere."""
    entity: float = Field(1, ge=0)
    """Whole entity names, and words elsewhere."""

    @model_validator(mode="after")
    def _not_all_zero(self) -> Stages:
        if self.basic + self.phrase + self.entity <= 0:
            raise ValueError("at least one of basic, phrase, entity must be above 0")
        return self

    def level(self, progress: float) -> Level:
        """The level at `progress` (0..1) of the training; at the end, the last level with a share above 0."""
        total = self.basic + self.phrase + self.entity
        if progress < self.basic / total:
            return "basic"
        if progress < (self.basic + self.phrase) / total:
            return "phrase"
        return "entity" if self.entity else "phrase" if self.phrase else "basic"


class ErnieBaidu(KnowledgeSettings):
    """Mask tokens first, then whole phrases, then whole entity names."""

    method: Literal["ernie-baidu"] = "ernie-baidu"
    stages: Stages = Stages()
    """How long each level is trained."""
    upstream: bool = False
    """Mask each token and unit independently with a fixed probability, as the released code does, instead of an exact
    share of each row."""
    names: Literal["linked", "moved"] = "linked"
    """Level entity: the names that the linker found; or, as a control, spans of as many words at random places of the
    same sentence, drawn anew for each batch."""


@dataclass(frozen=True)
class MaskedUnits(LearnedKnowledge):
    """Masking of whole units by level."""

    settings: ErnieBaidu

    def objective(self, objective: Objective) -> Objective:
        """See `Knowledge`. An objective that predicts labels masks nothing and is unchanged. Raises ValueError for
        another objective that does not mask units."""
        from kepipe.noise.tokens import select_tokens, select_tokens_by_coin
        from kepipe.noise.units import move_units, select_units, select_units_by_coin
        from kepipe.objectives.ernie2.label_loss import LabelLoss
        from kepipe.objectives.masked_lm import MaskedCollator

        if isinstance(objective.criterion, LabelLoss):
            return objective

        collator = objective.collate
        if not isinstance(collator, MaskedCollator):
            raise ValueError("ernie-baidu chooses what is masked, and this objective masks no units")
        share, stages = collator.mlm_probability, self.settings.stages
        choose = select_units_by_coin if self.settings.upstream else select_units
        choose_tokens = select_tokens_by_coin if self.settings.upstream else select_tokens
        moved = self.settings.names == "moved"

        def select(rows: TokenRows, draws: Draws, progress: float) -> Bools:
            level = stages.level(progress)
            if level == "basic":
                return choose_tokens(rows.special, draws, share)
            units_BT = rows.units[level]
            if level == "entity" and moved:
                units_BT = move_units(units_BT, rows.units["word"], rows.sentences, draws)
            return choose(units_BT, draws, share)

        return replace(objective, collate=replace(collator, select=select))


class ErnieBaiduMethod(KnowledgeMethod):
    """The row of the table."""

    section = ErnieBaidu
    about = "masks phrases and linked names of entities as a whole, in stages"
    controls = (Control("graph-off", {}), Control("graph-shuffled", {}, settings={"names": "moved"}))

    def conflicts(self, settings: ErnieBaidu, context: KnowledgeContext) -> Iterator[ConfigConflict]:  # noqa: ARG002
        """See `KnowledgeMethod`."""
        from kepipe.objectives import table

        if context.objective is None:
            yield ConfigConflict(
                "knowledge",
                "ernie-baidu chooses what pretraining masks: leave it out of other stages",
            )
        elif not table.row_of(context.objective).masks_units:
            fitting = [name for name, row in table.TABLE.items() if row.masks_units]
            yield ConfigConflict(
                "objective",
                f"{table.name_of(context.objective)} masks no units, which ernie-baidu chooses: set `objective: "
                f"{fitting[0]}`",
            )

    def not_with_prompts(self, settings: ErnieBaidu, config: EncoderConfig) -> str:  # noqa: ARG002
        """See `KnowledgeMethod`."""
        return "it chooses what pretraining masks, and tells a trained model nothing"

    def open(
        self,
        settings: ErnieBaidu,
        sources: Sources,  # noqa: ARG002
        note: Callable[[str], None],  # noqa: ARG002
    ) -> MaskedUnits:
        """See `KnowledgeMethod`."""
        return MaskedUnits(settings)
