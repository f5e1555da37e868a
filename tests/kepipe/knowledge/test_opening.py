"""Opening knowledge from a stage's settings and a model's folder: which one is used, which is rejected."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from kepipe.knowledge import opening
from kepipe.knowledge.base import KNOWLEDGE_FILE, CombinedKnowledge, KnowledgeSettings, Sources
from kepipe.knowledge.ernie_baidu import ErnieBaidu, MaskedUnits
from kepipe.knowledge.ernie_tsinghua.method import FusedEntities
from kepipe.knowledge.ernie_tsinghua.settings import ErnieTsinghua
from kepipe.knowledge.graph_method import GRAPH_FOLDER as GRAPH
from kepipe.knowledge.kbert.method import InjectedTriples
from kepipe.knowledge.kbert.settings import KBert
from kepipe.models import folder
from kepipe.models.base import Base, build
from kepipe.models.families import FamilyName
from kepipe.models.transformer import Transformer
from kg.schema import Entity, Relation, Triple
from kg.vectors import save_vectors
from kg.writer import write_graph
from tests.support.tasks import tokenizer

WORDS = tokenizer()
FUSION = ErnieTsinghua(entity_heads=2, train_vectors=True)
NOTES: list[str] = []


def plain() -> Transformer:
    return build(Base(layers=2, hidden=32, heads=2), WORDS.vocab_size, 0)


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Sources:
    """Vectors of `a` and `b`, and a graph of a fact about each."""
    root = tmp_path_factory.mktemp("sources")
    near = np.ones((1, 8), np.float32)
    save_vectors(root / "vectors", ["a", "b"], np.eye(2, 8, dtype=np.float32), near, ["near"])
    facts = [Triple("a", "near", "b"), Triple("b", "near", "c")]
    entities = [Entity(id, id) for id in "abc"]
    write_graph(root / "graph", entities, [Relation("near", "near")], {"train": facts})
    return Sources(WORDS, plain().config, graph=root / "graph", vectors=root / "vectors")


def without(sources: Sources, model: Transformer) -> Sources:
    """Of that model, without inputs of a stage."""
    return replace(sources, config=model.config, graph=None, vectors=None)


def saved(
    to: Path,
    sources: Sources,
    *methods: KnowledgeSettings,
    for_all_uses: bool = True,
    family: FamilyName = "bert",
) -> Transformer:
    start = build(Base(family=family, layers=2, hidden=32, heads=2), WORDS.vocab_size, 0)
    model, knowledge = opening.prepare(start, methods, sources, 0, NOTES.append)
    folder.save(to, model)
    opening.save(knowledge, to, model, for_all_uses=for_all_uses)
    return model


def test_knowledge_settings_round_trip_through_the_file(tmp_path: Path) -> None:
    first, second = ErnieTsinghua(first=1, denoising=False), KBert(choice="rarest", splits=("train", "test"))
    assert opening.read_settings(tmp_path) == []
    opening.write_settings(tmp_path, first)
    opening.write_settings(tmp_path, second)
    assert opening.read_settings(tmp_path) == [first, second]
    opening.write_settings(tmp_path, KBert(max_branches=7))
    assert opening.read_settings(tmp_path) == [first, KBert(max_branches=7)]
    assert [entry["method"] for entry in json.loads((tmp_path / KNOWLEDGE_FILE).read_text())["methods"]] == [
        "ernie-tsinghua",
        "k-bert",
    ]


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"methods": [{"method": "k-brt"}]}', '{"methods": 3}'])
def test_invalid_knowledge_file_is_rejected(tmp_path: Path, text: str) -> None:
    (tmp_path / KNOWLEDGE_FILE).write_text(text)
    with pytest.raises(ValueError, match=rf"{KNOWLEDGE_FILE}: not the knowledge of a model"):
        opening.read_settings(tmp_path)


def test_no_method_leaves_model_and_folder_unchanged(sources: Sources, tmp_path: Path) -> None:
    model = plain()
    same, knowledge = opening.prepare(model, [], sources, 0, NOTES.append)
    assert same is model
    assert knowledge is None
    opening.save(None, tmp_path, model, for_all_uses=True)
    assert not list(tmp_path.iterdir())
    assert opening.open_own(tmp_path, sources) is None


def test_method_with_weights_changes_the_model(sources: Sources) -> None:
    notes: list[str] = []
    model, knowledge = opening.prepare(plain(), [FUSION], sources, 0, notes.append)
    assert isinstance(knowledge, FusedEntities)
    assert model.config.fusion is not None
    assert (model.config.fusion.hidden, model.config.fusion.rows) == (8, 2)
    assert model.entity_table is not None
    np.testing.assert_array_equal(model.entity_table.weight.detach().numpy(), knowledge.vectors.table())
    weights = dict(model.named_parameters())
    assert all(torch.equal(weights[name], value) for name, value in plain().named_parameters())
    assert "new weights, initialised at random" in "".join(notes)


def test_methods_are_combined_in_table_order(sources: Sources) -> None:
    given = [KBert(), ErnieBaidu(), FUSION]
    _, knowledge = opening.prepare(plain(), given, sources, 0, NOTES.append)
    assert isinstance(knowledge, CombinedKnowledge)
    assert [type(part) for part in knowledge.parts] == [MaskedUnits, FusedEntities, InjectedTriples]
    assert knowledge.in_weights
    assert [knowledge.knows(id) for id in ("a", "c", "nobody")] == [True, True, False]


def test_folder_after_pretraining_keeps_weights_and_predicts_with_triples(
    sources: Sources, tmp_path: Path
) -> None:
    """After pretraining; triples and masked units are set per stage. Masks are filled with the triples too, unless the
    folder lacks the source of their ranking. A model that fills no masks has none in its folder."""
    model = saved(tmp_path, sources, ErnieBaidu(), FUSION, KBert(), for_all_uses=False)
    assert opening.read_settings(tmp_path) == [FUSION]
    own = opening.open_own(tmp_path, without(sources, model))
    assert isinstance(own, FusedEntities)
    assert own.settings == FUSION
    predicting = opening.open_own(tmp_path, without(sources, model), predicting=True)
    assert isinstance(predicting, CombinedKnowledge)
    assert [type(part) for part in predicting.parts] == [FusedEntities, InjectedTriples]

    opening.write_settings(tmp_path, ErnieTsinghua(first=1))
    assert opening.read_settings(tmp_path, predicting=True) == [ErnieTsinghua(first=1), KBert()]

    others: dict[FamilyName, KnowledgeSettings] = {"bert": KBert(choice="plausible"), "gpt2": KBert()}
    for family, method in others.items():
        other = replace(sources, config=build(Base(family=family), 9, 0).config)
        saved(tmp_path / family, other, method, for_all_uses=False, family=family)
        assert not (tmp_path / family / GRAPH).exists()
        assert opening.read_settings(tmp_path / family, predicting=True) == []


def test_folder_after_fine_tuning_has_vectors_and_graph(sources: Sources, tmp_path: Path) -> None:
    """After fine-tuning: the model runs without the inputs of its stage."""
    kbert = KBert(max_branches=1)
    model = saved(tmp_path / "model", sources, FUSION, kbert)
    assert opening.read_settings(tmp_path / "model") == [FUSION, kbert]
    moved = tmp_path / "elsewhere"
    (tmp_path / "model").rename(moved)
    own = opening.open_own(moved, without(sources, model))
    assert isinstance(own, CombinedKnowledge)
    fused, injected = own.parts
    assert isinstance(fused, FusedEntities)
    assert isinstance(injected, InjectedTriples)
    assert fused.vectors.rows(["a", "b", "c"]).tolist() == [0, 1, -1]
    assert injected.injector.settings == kbert
    assert injected.injector.chooser.graph.folder == moved / GRAPH


def test_given_source_replaces_the_folders_source(sources: Sources, tmp_path: Path) -> None:
    model = saved(tmp_path / "model", sources, KBert())
    other = write_graph(tmp_path / "other", [Entity("z", "z")], [Relation("r", "r")], {})
    given = replace(without(sources, model), graph=other.folder)
    own = opening.open_own(tmp_path / "model", given)
    assert isinstance(own, InjectedTriples)
    assert [own.knows(id) for id in "az"] == [False, True]


def test_stage_settings_replace_the_folders_settings(sources: Sources, tmp_path: Path) -> None:
    model = saved(tmp_path, sources, FUSION, for_all_uses=False)
    inputs = replace(sources, config=model.config, vectors=None)
    same, knowledge = opening.prepare(model, [KBert()], inputs, 0, NOTES.append, tmp_path)
    assert same is model
    assert isinstance(knowledge, CombinedKnowledge)
    assert [type(part) for part in knowledge.parts] == [FusedEntities, InjectedTriples]
    plain_links = ErnieTsinghua(entity_heads=2, denoising=False)
    same, knowledge = opening.prepare(model, [plain_links], inputs, 0, NOTES.append, tmp_path)
    assert same is model, "it fuses already"
    assert isinstance(knowledge, FusedEntities)
    assert knowledge.settings == plain_links


def test_fused_model_without_a_knowledge_file_opens_by_its_vectors(sources: Sources, tmp_path: Path) -> None:
    """For example a converted model."""
    model = saved(tmp_path, sources, FUSION, for_all_uses=False)
    (tmp_path / KNOWLEDGE_FILE).unlink()
    own = opening.open_own(tmp_path, without(sources, model))
    assert isinstance(own, FusedEntities)
    assert opening.open_own(tmp_path, without(sources, plain())) is None


@pytest.mark.parametrize(
    ("settings", "message"),
    [(FUSION, r"inputs: \{vectors: embed\}"), (KBert(), r"inputs: \{graph: graph\}")],
)
def test_missing_source_is_requested(sources: Sources, settings: KnowledgeSettings, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        opening.prepare(plain(), [settings], without(sources, plain()), 0, NOTES.append)
