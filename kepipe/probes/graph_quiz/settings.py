"""Settings of the graph quiz."""

from __future__ import annotations

from pydantic import Field

from kepipe.config import Section
from kepipe.config.paths import UserPath
from kepipe.probes.graph_quiz.defaults import HELD_OUT, OPTIONS, QUESTIONS, REDUCTION, STATED, Reduction


class GraphQuizSettings(Section):
    """The probe `graph-quiz`."""

    questions: int = Field(QUESTIONS, ge=1)
    """Maximum number of questions; half of them are held-out facts, if there are enough."""
    options: int = Field(OPTIONS, ge=2)
    """Maximum number of options of a question, including the true one."""
    templates: UserPath | None = None
    """Templates of the relations: `relation TAB [X] was born in [Y].`, several lines for paraphrases; or a folder in
    ParaRel's format. None, and for relations without one: made from labels."""
    paraphrases: int | None = Field(None, ge=1)
    """Maximum number of templates per relation; None: all."""
    relations: tuple[str, ...] = ()
    """Ids of the relations to ask about; (): all with at least two objects."""
    stated: tuple[str, ...] = STATED
    """Splits of the graph whose facts may be in the training data."""
    held_out: tuple[str, ...] = HELD_OUT
    """Splits of the graph whose facts are never in the training data."""
    reduction: Reduction = REDUCTION
    """How the token log-likelihoods of an option are combined: the sum, as in BEAR, or the mean."""
