from pathlib import Path

import numpy as np
import pytest

from kepipe.inference.opening import OpenedModel, open_model
from kepipe.knowledge.base import Knowledge
from kepipe.knowledge.ernie_tsinghua.vectors import EntityVectors
from kepipe.models.base import Base
from kepipe.models.transformer import Transformer
from kg.store import open_graph
from kg.vectors import save_vectors
from tests.support.fusion import build_fused, save_fused
from tests.support.world import World, make_world, with_large_weights


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    folder: Path = tmp_path_factory.mktemp("world")
    return make_world(folder)


@pytest.fixture(scope="session")
def vectors(world: World, tmp_path_factory: pytest.TempPathFactory) -> EntityVectors:
    """Of all entities of the world but one, large enough to affect a model that was not trained with them."""
    folder: Path = tmp_path_factory.mktemp("vectors")
    ids = [id for id in open_graph(world.graph.folder).ids if id != "id:Oslo"]
    save_vectors(
        folder, ids, 10 * np.random.default_rng(0).standard_normal((len(ids), 16)).astype(np.float32)
    )
    return EntityVectors.open(folder)


@pytest.fixture(scope="session")
def knowing(world: World, vectors: EntityVectors) -> tuple[Transformer, Knowledge]:
    """A model that fuses entities from its second layer on, and whose tokens heed one another; its knowledge."""
    base = Base(layers=3, hidden=32, heads=2)
    model, knowledge = build_fused(base, world.tokenizer, vectors.vectors.folder, first=1)
    return with_large_weights(model).eval(), knowledge


@pytest.fixture(scope="session")
def fused(knowing: tuple[Transformer, Knowledge]) -> Transformer:
    """The model alone."""
    return knowing[0]


@pytest.fixture(scope="session")
def opened(
    world: World, knowing: tuple[Transformer, Knowledge], tmp_path_factory: pytest.TempPathFactory
) -> OpenedModel:
    """The same model, opened from its folder with its knowledge."""
    folder: Path = tmp_path_factory.mktemp("fused")
    save_fused(folder, *knowing, tokenizer=world.shards.folder / "tokenizer")
    return open_model(folder)
