"""Settings of probes on held-out documents."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from kepipe.config import Section
from kepipe.probes.graph_quiz.settings import GraphQuizSettings


class ProbeSettings(Section):
    """Settings of the probes."""

    context: int = Field(128, ge=16)
    """Row length in tokens, special tokens included."""
    loss_tokens: int = Field(40_000, ge=1)
    """Maximum number of held-out tokens for the loss."""
    mentions: Literal["auto", "gold", "linked"] = "auto"
    """Which mentions are blanked: gold ones, or the linker's; `auto`: gold ones if there are enough."""
    max_mentions: int = Field(400, ge=1)
    """Maximum number of blanked mentions, one at a time."""
    max_candidates: int = Field(100, ge=2)
    """Maximum number of candidates of a type; true entities are always included."""
    max_name_tokens: int = Field(6, ge=1)
    """Entities whose label has more tokens are excluded."""
    graph_quiz: GraphQuizSettings = GraphQuizSettings()
    """Settings of `graph-quiz`, which does not read documents."""
    min_score: float = Field(0.9, ge=0, le=1)
    """Minimum confidence of the linker's mentions that are blanked."""
