"""Pretraining with fused entity vectors, on a small text with entities."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from kepipe.knowledge import opening
from kepipe.knowledge.base import Knowledge, Sources
from kepipe.knowledge.ernie_tsinghua.settings import ErnieTsinghua
from kepipe.linking.linker import Linker
from kepipe.models import folder as models
from kepipe.models.base import Base, build
from kepipe.models.transformer import Transformer
from kepipe.stages.artifacts import Graph, Shards, Vectors
from kepipe.stages.pretrain import PRETRAIN
from kepipe.tokenization.tokenizer import Tokenizer
from kg.schema import Entity, Relation, Triple
from kg.store import open_graph
from kg.vectors import save_vectors
from kg.writer import write_graph
from tests.support.pretraining import NAMES, write_shards
from tests.support.toy_training import EventRecorder, context_in

WIDTH = 8
FUSED: dict[str, Any] = {
    "base": {"layers": 2, "hidden": 32, "heads": 2},
    "objective": "mlm",
    "knowledge": {"method": "ernie-tsinghua", "entity_heads": 2},
    "format": "segment-pair",
    "length": 32,
    "steps": 12,
    "batch_tokens": 256,
    "log_every": 1,
    "eval_every": 6,
    "eval_tokens": 256,
    "checkpoint_every": 3,
    "precision": "fp32",
}


def write_world(folder: Path) -> Path:
    """Write shards whose mentions have the entities Q9 to Q13, vectors of some of them, and a graph with Q12 and its
    neighbour Q10."""
    write_shards(folder / "text", held_out=0.2)
    rng = np.random.default_rng(1)
    ids = ["Q9", "Q10", "Q11", "Q99"]
    table, relations = (rng.standard_normal((rows, WIDTH)).astype(np.float32) for rows in (len(ids), 1))
    save_vectors(folder / "vectors", ids, table, relations, ["near"])
    write_graph(
        folder / "graph",
        [Entity(id, id) for id in [*ids, "Q12"]],
        [Relation("near", "near")],
        {"train": [Triple("Q10", "near", "Q12")]},
    )
    return folder


def write_linker(folder: Path) -> None:
    """Write a linker for the names of the text, in capitals: `Old Bridge` is Q10."""
    names = [f"{first.title()} {second.title()}" for first in NAMES[:5] for second in NAMES[5:]]
    by_entity = {f"Q{len(name)}": [other for other in names if len(other) == len(name)] for name in names}
    entities = [Entity(id, labels[0], tuple(labels[1:])) for id, labels in by_entity.items()]
    pair = Triple(entities[0].id, "near", entities[1].id)
    write_graph(folder / "names", entities, [Relation("near", "near")], {"train": [pair]})
    Linker.build(open_graph(folder / "names")).save(folder / "text" / "linker")


def build_fused(
    base: Base, tokenizer: Tokenizer, vectors: Path, seed: int = 0, **settings: Any
) -> tuple[Transformer, Knowledge]:
    """A newly initialised model with layers that fuse the vectors of a folder, and its knowledge."""
    model = build(base, tokenizer.vocab_size, seed)
    sources = Sources(tokenizer, model.config, vectors=vectors)
    fused, knowledge = opening.prepare(model, [ErnieTsinghua(**settings)], sources, seed, lambda _: None)
    assert knowledge is not None
    return fused, knowledge


def save_fused(folder: Path, model: Transformer, knowledge: Knowledge, tokenizer: Path | None = None) -> None:
    """Write the model's folder with its knowledge, as a stage does."""
    models.save(folder, model, tokenizer=tokenizer)
    opening.save(knowledge, folder, model, for_all_uses=False)


def pretrain_with_triples(world: Path, folder: Path) -> Path:
    """A model pretrained with the triples of the names of `write_linker` in its text."""
    context = context_in(folder, EventRecorder())
    inputs = PRETRAIN.inputs(Shards(world / "text" / "work" / "out", ""), graph=Graph(world / "names", ""))
    settings = FUSED | {"knowledge": {"method": "k-bert", "length": 64}, "format": "doc-sentences"}
    PRETRAIN.run(inputs, PRETRAIN.config.model_validate(settings), context)
    return context.out


def pretrain(
    world: Path, folder: Path, neighbours: bool = False, **changes: Any
) -> tuple[Path, EventRecorder]:
    recorder = EventRecorder()
    context = context_in(folder, recorder)
    inputs = PRETRAIN.inputs(
        Shards(world / "text" / "work" / "out", ""),
        vectors=Vectors(world / "vectors", ""),
        neighbours=Graph(world / "graph", "digest") if neighbours else None,
    )
    PRETRAIN.run(inputs, PRETRAIN.config.model_validate(FUSED | changes), context)
    return context.out, recorder
