"""The knowledge that goes with a model: from a stage's settings and inputs, or from the model's own folder."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from kepipe.knowledge import table
from kepipe.knowledge.base import KNOWLEDGE_FILE, Knowledge, KnowledgeSettings, Sources, Together

from kepipe.knowledge.ernie_tsinghua.settings import ErnieTsinghua
from kepipe.knowledge.ernie_tsinghua.vectors import has_vectors

if TYPE_CHECKING:
    from kepipe.models.transformer import Transformer


def write_settings(folder: Path, settings: KnowledgeSettings) -> None:
    """Note beside a model which method goes with it. Several notes add up."""
    from kepipe.models.files import write_json

    kept = [entry for entry in read_settings(folder) if type(entry) is not type(settings)]
    entries = [entry.model_dump(mode="json") for entry in (*kept, settings)]
    write_json(folder / KNOWLEDGE_FILE, {"methods": entries})


def read_settings(folder: Path) -> list[KnowledgeSettings]:
    """The methods that go with a folder's model; none where it says nothing. Raises ValueError where it is unreadable."""
    file = folder / KNOWLEDGE_FILE
    if not file.is_file():
        return []
    try:
        return [table.read(entry) for entry in json.loads(file.read_text(encoding="utf-8"))["methods"]]
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{file}: not the knowledge of a model ({error})") from None


def open_own(
    folder: Path, sources: Sources, note: Callable[[str], None] = lambda _: None
) -> Knowledge | None:
    """What a model's folder brings for use: its vectors, its graph; None where it brings nothing.

    What `sources` names takes the place of what the folder has.
    """
    own = replace(
        sources,
        vectors=folder if sources.vectors is None else sources.vectors,
        graph=folder / "graph" if sources.graph is None else sources.graph,
    )
    kept = read_settings(folder)
    if not kept and sources.config.fusion is not None and has_vectors(folder):
        kept = [ErnieTsinghua()]  # a port from elsewhere
    return together([table.method_of(settings).open(settings, own, note) for settings in kept])


def add_knowledge(
    model: Transformer,
    settings: KnowledgeSettings,
    sources: Sources,
    seed: int,
    note: Callable[[str], None],
) -> tuple[Transformer, Knowledge]:
    """A method opened over `sources`, and the model with the weights that it adds."""
    method = table.method_of(settings)
    knowledge = method.open(settings, sources, note)
    return method.extend_model(model, knowledge, seed, note), knowledge


def together(parts: list[Knowledge]) -> Knowledge | None:
    """Several methods as one; None for none."""
    return Together(tuple(parts)) if len(parts) > 1 else next(iter(parts), None)
