"""By which settings held-out documents are asked, whatever the probe."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from kepipe.config import Section
from kepipe.probes.graph_quiz.settings import GraphQuizSettings


class ProbeSettings(Section):
    """How probes are made of the held-out documents."""

    context: int = Field(128, ge=16)
    """Tokens of a row, special tokens included."""
    loss_tokens: int = Field(40_000, ge=1)
    """Held-out tokens on which the loss is measured, at most."""
    mentions: Literal["auto", "gold", "linked"] = "auto"
    """Mentions that are blanked: given with the data, or the linker's; `auto`: given, where there are enough."""
    max_mentions: int = Field(400, ge=1)
    """Mentions that are blanked, one at a time, at most."""
    max_candidates: int = Field(100, ge=2)
    """Candidates of a type, at most; every entity asked for is one in any case."""
    max_name_tokens: int = Field(6, ge=1)
    """Entities whose label has more tokens are neither asked for nor offered."""
    graph_quiz: GraphQuizSettings = GraphQuizSettings()
    """What `graph-quiz` asks; it reads no documents."""
    min_score: float = Field(0.9, ge=0, le=1)
    """Confidence from which a mention found by the linker is blanked."""
