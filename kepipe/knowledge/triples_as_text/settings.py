"""The settings of facts as text, as the YAML has them."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from kepipe.knowledge.base import KnowledgeSettings
from kepipe.knowledge.choosing.choices import ChoiceName, described
from kepipe.knowledge.fact_templates import FactTemplates


class TriplesAsText(KnowledgeSettings):
    """Which facts are written as sentences, and how many: a pretraining learns them, elsewhere they go with a text."""

    method: Literal["triples-as-text"] = "triples-as-text"
    splits: tuple[Literal["train", "valid", "test"], ...] = ("train",)
    """Facts that are written. Those held out stay out, so that what is asked for later was never told."""
    templates: FactTemplates = Field(default_factory=dict)
    """Sentences for relations: a file with lines `relation TAB template`, or `relation: [template, …]`, with [X] for
    the subject and [Y] for the object. Other relations are worded by their labels."""
    share: float = Field(0.5, gt=0, lt=1)
    """Pretraining: share of the batches that are made of facts; the others are text."""
    max_facts: int = Field(2, ge=1)
    """Elsewhere: most facts of one mention that go with a text."""
    choice: ChoiceName = Field(
        "graph", description=f"Elsewhere: which facts of an entity go first. {described()}."
    )
    length: int = Field(256, ge=8)
    """Elsewhere: longest row in tokens, facts included. The text goes first; facts get the room that is left."""
