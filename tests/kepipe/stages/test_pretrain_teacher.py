"""Distillation in pretraining: a student learns a teacher's probabilities; the teacher may use a graph."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.special import log_softmax, rel_entr, softmax

from kepipe.data.row_batches import open_batches
from kepipe.data.shards import open_shard
from kepipe.models import folder as models
from kepipe.objectives import table
from kepipe.objectives.mlm import MLM
from kepipe.objectives.teacher import Teacher, TeacherLoss, learn_from
from kepipe.stages.artifacts import Graph, Model, Shards
from kepipe.stages.pretrain import PRETRAIN
from kepipe.tokenization.tokenizer import load_tokenizer
from kepipe.training.soft_targets import binary_divergence, divergence
from kg.schema import Entity, Relation, Triple
from kg.writer import write_graph
from tests.support.conflicts import error_message
from tests.support.pretraining import SMALL, TINY
from tests.support.toy_training import EventRecorder, context_in


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> Graph:
    """A fact about each entity of the texts; their ids are the lengths of their names."""
    entities = [Entity(f"Q{n}", f"name {n}") for n in range(8, 13)] + [Entity("t", "old town")]
    facts = [Triple(f"Q{n}", "near", "t") for n in range(8, 13)]
    folder = tmp_path_factory.mktemp("graph")
    write_graph(folder, entities, [Relation("near", "near")], {"train": facts})
    return Graph(folder, "graph", name="graph")


def train(
    shards: Shards, folder: Path, graph: Graph | None = None, **changes: Any
) -> tuple[Model, EventRecorder]:
    recorder = EventRecorder()
    context = context_in(folder, recorder)
    teacher = changes.pop("teacher", None)
    inputs = PRETRAIN.inputs(shards, graph=graph, teacher=teacher)
    PRETRAIN.run(inputs, PRETRAIN.config.model_validate(SMALL | changes), context)
    return Model(context.out, folder.name, name=folder.name), recorder


@pytest.fixture(scope="module")
def teacher(shards: Shards, tmp_path_factory: pytest.TempPathFactory) -> Model:
    """A wider model, trained for longer."""
    base = {"layers": 2, "hidden": 64, "heads": 2}
    return train(shards, tmp_path_factory.mktemp("teacher"), base=base, steps=120, learning_rate=3e-3)[0]


def test_divergence_equals_scipys_and_is_0_from_itself() -> None:
    rng = np.random.default_rng(0)
    student, teacher = rng.normal(size=(2, 5, 7)) * 3
    targets = softmax(teacher / 2, axis=-1)
    expected = 4 * rel_entr(targets, np.exp(log_softmax(student / 2, axis=-1))).sum(1).mean()
    found = divergence(torch.tensor(student), torch.tensor(targets), 2.0)
    assert float(found) == pytest.approx(expected, rel=1e-5)
    assert float(divergence(torch.tensor(teacher), torch.tensor(targets), 2.0)) == pytest.approx(0, abs=1e-5)
    assert float(divergence(torch.zeros(0, 7), torch.zeros(0, 7), 2.0)) == 0
    two = np.stack([softmax(np.array([0, z / 2])) for z in student[:, 0]])
    probabilities = torch.tensor(two[:, 1:])
    of_two_labels = divergence(torch.tensor([[0.0, 1.0]] * 5), torch.tensor(two), 2.0)
    assert float(binary_divergence(torch.ones(5, 1), probabilities, 2.0)) == pytest.approx(
        float(of_two_labels)
    )


@pytest.mark.parametrize("similarities", [0.0, 1.0])
def test_model_as_its_own_teacher_has_no_distillation_loss(
    shards: Shards, teacher: Model, similarities: float
) -> None:
    model = models.load(teacher.folder).eval()
    tokenizer = load_tokenizer(shards.folder / "tokenizer")
    objective = table.build(MLM(), tokenizer)
    taught = learn_from(objective, Teacher(model), 2.0, 0.25, similarities)
    rows = open_batches(
        open_shard(shards.folder / "train"), tokenizer, format="packed", length=32, tokens=256
    )
    plain = objective.collate(rows[0], np.random.default_rng(0), 0.0)
    batch = taught.collate(rows[0], np.random.default_rng(0), 0.0)
    assert torch.equal(batch.tokens, plain.tokens)
    losses, alone = taught.criterion(model, batch), objective.criterion(model, plain)
    assert float(losses["distillation"]) == pytest.approx(0, abs=1e-5)
    assert float(losses["mlm"]) == pytest.approx(0.75 * float(alone["mlm"]), rel=1e-5)
    assert ("similarities" in losses) == (similarities > 0)
    assert float(losses.get("similarities", torch.zeros(()))) == pytest.approx(0, abs=1e-6)


def test_similarity_loss_ignores_scale_and_rotation(teacher: Model) -> None:
    hidden = torch.randn(6, 64, generator=torch.Generator().manual_seed(0))
    turned = 3 * hidden @ torch.linalg.qr(torch.randn(64, 64)).Q

    class Echo:
        def __call__(self, _batch: object, _positions: object) -> torch.Tensor:
            return turned

        def vocabulary(self, hidden_ND: torch.Tensor) -> torch.Tensor:
            return hidden_ND

    class Given:
        labels = label_positions = torch.arange(6)
        teacher: Any = None

    Given.teacher = Given
    losses = TeacherLoss(Echo(), 1.0, similarities=True).losses(Echo(), (hidden,), Given())  # type: ignore[arg-type]
    assert float(losses["similarities"]) == pytest.approx(0, abs=1e-10)
    assert float(losses["distillation"]) > 1


def agreement(one: Model, other: Model, shards: Shards) -> float:
    """Mean KL divergence of the second model's probabilities of masked tokens from the first's."""
    tokenizer = load_tokenizer(shards.folder / "tokenizer")
    objective = learn_from(table.build(MLM(), tokenizer), Teacher(models.load(one.folder).eval()), 1.0, 1.0)
    rows = open_batches(
        open_shard(shards.folder / "held_out"), tokenizer, format="packed", length=32, tokens=512
    )
    with torch.no_grad():
        batch = objective.collate(rows[0], np.random.default_rng(0), 0.0)
        return float(objective.criterion(models.load(other.folder).eval(), batch)["distillation"])


def test_student_approaches_its_teacher_more_than_labels_do(
    shards: Shards, teacher: Model, tmp_path: Path
) -> None:
    settings = {"base": TINY, "steps": 60, "learning_rate": 3e-3}
    student, heard = train(
        shards,
        tmp_path / "student",
        teacher=teacher,
        distillation={"weight": 0.9, "similarities": 0.1},
        **settings,
    )
    again, _ = train(
        shards, tmp_path / "again", distillation={"from": str(teacher.folder), "weight": 0.9, "similarities": 0.1},
        **settings,
    )  # fmt: skip
    alone, _ = train(shards, tmp_path / "alone", **settings)
    distillation = list(heard.metric("loss_distillation").values())
    assert distillation[-1] < 0.5 * distillation[0]
    assert heard.metric("loss_similarities")
    assert agreement(teacher, student, shards) < 0.8 * agreement(teacher, alone, shards)
    same = [(model.folder / "model.safetensors").read_bytes() for model in (student, again)]
    assert same[0] == same[1]


def test_teacher_may_use_a_graph_that_the_student_lacks(
    shards: Shards, teacher: Model, graph: Graph, tmp_path: Path
) -> None:
    facts = {"knowledge": {"method": "k-bert", "length": 64}}
    with_facts, heard = train(shards, tmp_path / "facts", graph, teacher=teacher, distillation=facts)
    _, silent = train(shards, tmp_path / "none", teacher=teacher)
    assert heard.metric("loss_distillation") != silent.metric("loss_distillation")
    assert heard.metric("loss_mlm") != silent.metric("loss_mlm")
    assert not (with_facts.folder / "knowledge.json").exists()
    lost = {"knowledge": {"method": "k-bert", "length": 32, "upstream": True}}
    with pytest.raises(ValueError, match="pushes predicted tokens out"):
        train(shards, tmp_path / "lost", graph, teacher=teacher, distillation=lost)


def test_teacher_with_another_vocabulary_is_rejected(shards: Shards, teacher: Model, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="another vocabulary than the shards"):
        train(shards, tmp_path / "other", distillation={"from": "minilm"})


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ("distillation: {weight: 0.3}", "give the teacher, either by `inputs: {teacher: STAGE}`"),
        (
            "base: {family: gpt2}, objective: causal-lm, distillation: {from: minilm}",
            "a teacher gives the probabilities of masked tokens: set `objective: mlm`",
        ),
        ("knowledge: k-bert, distillation: {from: minilm}", "k-bert moves the student's tokens"),
        ("base: {family: ngram}, distillation: {from: minilm}", "without training settings"),
    ],
)
def test_pretrain_teacher_conflicts_are_reported(tmp_path: Path, settings: str, message: str) -> None:
    stages = f"  shards: {{}}\n  pretrain: {{{settings}}}\n"
    assert message in error_message(
        tmp_path, stages, "graph: {source: geonames}\ncorpus: {source: wikipedia-sample}\n"
    )
