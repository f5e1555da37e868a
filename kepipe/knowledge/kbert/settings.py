"""The settings of K-BERT's injection in the YAML."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import Field

from kepipe.knowledge.base import KnowledgeSettings
from kepipe.knowledge.choosing.choices import ChoiceName, list_choices


class KBert(KnowledgeSettings):
    """Which triples are inserted into a text, how, and which tokens attend to them (K-BERT; Liu et al. 2020)."""

    renamed: ClassVar[Mapping[str, str]] = {"visible": "visible_matrix", "soft": "soft_positions"}

    method: Literal["k-bert"] = "k-bert"
    max_branches: int = Field(2, ge=1)
    """Maximum number of triples per mention."""
    predicate: bool = True
    """Write the relation's name before the object; if false, the object alone, as in the paper for tagging."""
    choice: ChoiceName = Field(
        "graph", description=f"Which triples of an entity are preferred. {list_choices()}."
    )
    length: int = Field(256, ge=8)
    """Maximum row length in tokens, branches included. The sentence has priority; branches get the remaining room."""
    splits: tuple[Literal["train", "valid", "test"], ...] = ("train",)
    """Splits of the triples to inject. By default without the held-out ones, so that test facts are never in a text."""
    upstream: bool = False
    """Truncate rows as the released code does: branches push out the end of the sentence."""
    visible_matrix: bool = True
    """Hide branches from all tokens but their mention (the visible matrix). If false, all tokens attend to them: an
    ablation."""
    soft_positions: bool = True
    """Number the positions of the sentence as if there were no branches. If false, positions are consecutive: an
    ablation."""
