"""The injector that goes with a model: a stored graph, and what the model's side of it has to fit."""

from __future__ import annotations

from pathlib import Path

from kepipe.knowledge.kbert.injector import Injector
from kepipe.knowledge.kbert.settings import Inject
from kepipe.models.config import TransformerConfig
from kepipe.models.entities import has_vectors
from kepipe.tokenization.tokenizer import Tokenizer
from kg.store import open_graph


def open_injector(
    graph: Path, tokenizer: Tokenizer, settings: Inject, config: TransformerConfig, vectors: Path | None
) -> Injector:
    """The injector of a stored graph for a model. `vectors`: a folder that may hold those of entities."""
    return Injector(
        open_graph(graph),
        tokenizer,
        settings,
        causal=config.causal,
        positions=config.positions,
        vectors=vectors if vectors is not None and has_vectors(vectors) else None,
    )
