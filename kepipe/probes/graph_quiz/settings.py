"""What the graph quiz asks, and how answers are scored."""

from __future__ import annotations

from pydantic import Field

from kepipe.config import Section
from kepipe.config.paths import UserPath
from kepipe.probes.graph_quiz.defaults import HELD_OUT, OPTIONS, QUESTIONS, REDUCTION, STATED, Reduction


class GraphQuizSettings(Section):
    """The probe `graph-quiz`."""

    questions: int = Field(QUESTIONS, ge=1)
    """Facts that are asked for, at most; half of them held out, where there are so many."""
    options: int = Field(OPTIONS, ge=2)
    """Options of a question, at most; the true one is always among them."""
    templates: UserPath | None = None
    """Sentences for the relations: `relation TAB [X] was born in [Y].`, several lines for paraphrases; or a folder
    in ParaRel's form. None, and for relations that it lacks: made from labels."""
    paraphrases: int | None = Field(None, ge=1)
    """Templates of a relation that are asked, at most; None: all."""
    relations: tuple[str, ...] = ()
    """Ids of the relations that are asked for; none given: all that have two objects or more."""
    stated: tuple[str, ...] = STATED
    """Splits of the graph whose facts training may have stated."""
    held_out: tuple[str, ...] = HELD_OUT
    """Splits of the graph whose facts training never states."""
    reduction: Reduction = REDUCTION
    """Of the log-likelihoods of an option's tokens: their sum, as in BEAR, or their mean."""
