"""ERNIE (Tsinghua) as a method: positions of vectors, weights added to a model, files of its folder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from kepipe.knowledge.base import Sources
from kepipe.knowledge.ernie_tsinghua.method import ErnieTsinghuaMethod, FusedEntities
from kepipe.knowledge.ernie_tsinghua.settings import ErnieTsinghua
from kepipe.knowledge.ernie_tsinghua.vectors import EntityVectors
from kepipe.knowledge.opening import open_own, prepare, read_settings
from kepipe.models import folder
from kepipe.models.base import Base, build
from kepipe.models.transformer import Transformer
from kg.vectors import TABLE, save_vectors
from tests.support.rows import TOKENIZER, rows

ROWS, E = 9, 8
SILENT: Callable[[str], None] = lambda _: None  # noqa: E731


@pytest.fixture(scope="module")
def vectors(tmp_path_factory: pytest.TempPathFactory) -> EntityVectors:
    folder = tmp_path_factory.mktemp("vectors")
    matrix = np.random.default_rng(0).standard_normal((ROWS, E)).astype(np.float32)
    save_vectors(folder, [f"Q{n}" for n in range(ROWS)], matrix)
    return EntityVectors.open(folder)


def plain() -> Transformer:
    return build(Base.model_validate({"layers": 2, "hidden": 32, "heads": 2}), 50, 0)


def fused(vectors: EntityVectors, **settings: Any) -> tuple[Transformer, FusedEntities]:
    knowledge = FusedEntities(vectors, ErnieTsinghua(**settings))
    return ErnieTsinghuaMethod().extend_model(plain(), knowledge, 0, SILENT), knowledge


def save(place: Path, model: Transformer, knowledge: FusedEntities) -> None:
    folder.save(place, model)
    knowledge.save(place, model)


def test_entity_vector_is_at_the_first_token_of_each_mention(tmp_path: Path) -> None:
    """Mentions of 2 and 1 tokens, the same entity twice in a row, one without a vector, one cut by the row's end."""
    ids = [f"e{n}" for n in range(7)]
    save_vectors(tmp_path, [ids[6], ids[4]], np.ones((2, E), np.float32))
    knowledge = FusedEntities(EntityVectors.open(tmp_path), ErnieTsinghua())
    entities = np.array([[-1, 4, 4, 4, -1, 5, -1, 6, 6]])
    units = np.array([[-1, 0, 0, 1, 2, 3, 4, 5, 5]])
    mentions = rows(entities=entities, units={"entity": units}, entity_ids=ids).mentions()
    assert knowledge.links((1, 9), mentions).tolist() == [[-1, 1, -1, 1, -1, -1, -1, 0, -1]]
    moved = np.array([[0, 2, 3, 6, 7, 8, 9, -1, -1]])
    assert knowledge.links((1, 10), mentions, moved).tolist() == [[-1, -1, 1, -1, -1, -1, 1, -1, -1, -1]]
    assert [knowledge.knows(id) for id in ("e4", "e5")] == [True, False]


def test_folder_hard_links_vectors_and_reopens_equal(vectors: EntityVectors, tmp_path: Path) -> None:
    model, knowledge = fused(vectors)
    save(tmp_path, model, knowledge)
    assert (tmp_path / TABLE).samefile(vectors.vectors.folder / TABLE)
    opened = EntityVectors.open(tmp_path)
    np.testing.assert_array_equal(opened.vectors.matrix, vectors.vectors.matrix)
    loaded = folder.load(tmp_path)
    assert loaded.config == model.config
    assert all(torch.equal(a, b) for a, b in zip(loaded.parameters(), model.parameters(), strict=True))
    own = open_own(tmp_path, Sources(TOKENIZER, loaded.config))
    assert isinstance(own, FusedEntities)
    np.testing.assert_array_equal(own.vectors.table(), vectors.table())
    assert read_settings(tmp_path) == [knowledge.settings]
    again = build(Base.model_validate({"from": str(tmp_path)}), 50, 0)
    again, brought = prepare(again, (), Sources(TOKENIZER, again.config), 0, SILENT, tmp_path)
    assert again.config.fusion == model.config.fusion
    assert isinstance(brought, FusedEntities)


def test_trained_vectors_are_saved(vectors: EntityVectors, tmp_path: Path) -> None:
    model, knowledge = fused(vectors, train_vectors=True)
    assert model.entity_table is not None
    np.testing.assert_array_equal(model.entity_table.weight.detach().numpy(), vectors.table())
    with torch.no_grad():
        model.entity_table.weight += 1
    save(tmp_path, model, knowledge)
    np.testing.assert_array_equal(EntityVectors.open(tmp_path).table(), vectors.table() + 1)
    # Its table is read by row: vectors of other entities, as many and as wide, do not take its place.
    save_vectors(tmp_path / "others", [f"P{n}" for n in range(ROWS)], vectors.table())
    sources = Sources(TOKENIZER, model.config, vectors=tmp_path / "others")
    with pytest.raises(ValueError, match="the model has trained vectors of other entities"):
        open_own(tmp_path, sources)
    assert open_own(tmp_path, replace(sources, vectors=vectors.vectors.folder)) is not None


def test_fusion_defaults_are_published_and_scale_with_layers() -> None:
    settings = ErnieTsinghua()
    assert [settings.fusion(layers, 100, 9).first for layers in (12, 6, 4, 2, 1)] == [5, 2, 1, 0, 0]
    assert settings.fusion(12, 100, 9).heads == 4


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"entity_hidden": 100}, "have 8 numbers"),
        ({"entity_heads": 3}, "set entity_heads to a divisor"),
        ({"first": 2}, "at least one must fuse"),
    ],
)
def test_invalid_fusion_is_reported(vectors: EntityVectors, settings: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        fused(vectors, **settings)


def test_missing_vectors_are_requested() -> None:
    with pytest.raises(ValueError, match=r"inputs: \{vectors: embed\}"):
        ErnieTsinghuaMethod().open(ErnieTsinghua(), Sources(TOKENIZER, plain().config), SILENT)


def test_fused_model_is_not_fused_again(vectors: EntityVectors, tmp_path: Path) -> None:
    """It continues with its own layers; vectors of another width do not fit them."""
    model, knowledge = fused(vectors)
    save(tmp_path, model, knowledge)
    trained = build(Base.model_validate({"from": str(tmp_path)}), 50, 0)
    sources = Sources(TOKENIZER, trained.config)
    again, _ = prepare(trained, (ErnieTsinghua(),), sources, 0, SILENT, tmp_path)
    assert again is trained
    save_vectors(tmp_path / "wide", ["Q1"], np.zeros((1, 16), np.float32))
    wide = Sources(TOKENIZER, trained.config, vectors=tmp_path / "wide")
    with pytest.raises(ValueError, match="these are 1 of dimension 16"):
        prepare(trained, (ErnieTsinghua(),), wide, 0, SILENT, tmp_path)
