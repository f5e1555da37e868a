"""The settings of injection, as the YAML has them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import Field

from kepipe.knowledge.base import KnowledgeSettings
from kepipe.knowledge.choosing.choices import ChoiceName, described


class KBert(KnowledgeSettings):
    """Which triples are written into a text, how, and who sees them (K-BERT; Liu et al. 2020)."""

    renamed: ClassVar[Mapping[str, str]] = {"visible": "visible_matrix", "soft": "soft_positions"}

    method: Literal["k-bert"] = "k-bert"
    max_branches: int = Field(2, ge=1)
    """Most triples that hang from one mention."""
    predicate: bool = True
    """Write the relation's name before the object; without, the object alone, as the paper does for tagging."""
    choice: ChoiceName = Field("graph", description=f"Which triples of an entity go first. {described()}.")
    length: int = Field(256, ge=8)
    """Longest row in tokens, branches included. The sentence goes first; branches get the room that is left."""
    splits: tuple[Literal["train", "valid", "test"], ...] = ("train",)
    """Triples to inject. Those held out stay out, so that what is asked for later was never written into a text."""
    upstream: bool = False
    """Cut rows as the release does: branches push out the end of the sentence."""
    visible_matrix: bool = True
    """Hide branches from all but their mention (the visible matrix). Without, everybody sees them: an ablation."""
    soft_positions: bool = True
    """Let positions of the sentence count as if there were no branches. Without, tokens count as they stand: an
    ablation."""
