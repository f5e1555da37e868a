"""The settings of facts as text in the YAML."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from kepipe.knowledge.base import KnowledgeSettings
from kepipe.knowledge.choosing.choices import ChoiceName, list_choices
from kepipe.knowledge.fact_templates import FactTemplates


class TriplesAsText(KnowledgeSettings):
    """Which facts are written as sentences, and how many. Pretraining learns them; elsewhere they are added to a
    text."""

    method: Literal["triples-as-text"] = "triples-as-text"
    splits: tuple[Literal["train", "valid", "test"], ...] = ("train",)
    """Splits of the facts. By default without the held-out ones, so that the model never sees test facts."""
    templates: FactTemplates = Field(default_factory=dict)
    """Sentences for relations: a file with lines `relation TAB template`, or `relation: [template, …]`, with [X] for
    the subject and [Y] for the object. Other relations are worded by their labels."""
    share: float = Field(0.5, gt=0, lt=1)
    """Pretraining: share of the batches that are facts."""
    max_facts: int = Field(2, ge=1)
    """Elsewhere: maximum number of facts per mention."""
    choice: ChoiceName = Field(
        "graph", description=f"Elsewhere: which facts of an entity are preferred. {list_choices()}."
    )
    length: int = Field(256, ge=8)
    """Elsewhere: maximum row length in tokens, facts included. The text has priority; facts get the remaining room."""
