"""Heads over frozen features are trained on standardised features, and saved as plain linear layers."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
import torch
from torch import nn

from kepipe.data.batch import Batch
from kepipe.finetuning.heads import LabelHead
from kepipe.finetuning.standardised_head import StandardisedLinear
from kepipe.finetuning.table import TASKS, TaskName
from kepipe.finetuning.task_model import TaskModel
from kepipe.models.folder import load, save
from kepipe.stages.artifacts import Model
from tests.support.tasks import base_model, finetune, write_task


def test_the_plain_layer_has_the_same_outputs() -> None:
    torch.manual_seed(0)
    mean, deviation = torch.tensor([3.0, -1.0, 0.5]), torch.tensor([0.01, 2.0, 1.0])
    layer = StandardisedLinear(nn.Linear(3, 2), mean, deviation)
    inputs = mean + deviation * torch.randn(4, 5, 3)
    by_hand = ((inputs - mean) / deviation) @ layer.weight.T + layer.bias
    torch.testing.assert_close(layer(inputs), by_hand)
    torch.testing.assert_close(layer.plain()(inputs), by_hand, rtol=1e-4, atol=1e-4)
    assert type(layer.plain()) is nn.Linear


def test_the_head_is_exact_under_autocast(narrow: Model) -> None:
    """In bf16, features of 1 ± 0.01 would be rounded to 8 bits."""
    head = LabelHead(32, 1, 3, mean=True)
    model = TaskModel(load(narrow.folder), head).eval()
    hidden_BTD = 1 + 0.01 * torch.randn(4, 6, 32)
    tokens = torch.full((4, 6), 7)
    batch = Batch(tokens, torch.ones_like(tokens), torch.zeros_like(tokens))
    with torch.no_grad(), patch.object(model, "hidden", return_value=hidden_BTD):
        exact = model(batch)
        with torch.autocast("cpu", torch.bfloat16):
            assert torch.equal(model(batch), exact)


@pytest.fixture(scope="module")
def narrow(tmp_path_factory: pytest.TempPathFactory) -> Model:
    """A model whose last states are 1 ± 0.01 instead of 0 ± 1."""
    start = base_model(tmp_path_factory.mktemp("narrow"))
    encoder = load(start.folder)
    weights = dict(encoder.named_parameters())
    with torch.no_grad():
        weights["encoder.layers.1.mlp.norm.weight"].fill_(0.01)
        weights["encoder.layers.1.mlp.norm.bias"].fill_(1.0)
    save(start.folder, encoder, tokenizer=start.folder)
    return start


FROZEN: dict[str, Any] = {"train": "head", "learning_rate": None, "epochs": 20}


def test_small_features_are_learned_if_they_are_standardised(narrow: Model, tmp_path: Path) -> None:
    data = write_task(tmp_path, "classification")
    accuracy = {
        standardise: finetune(
            tmp_path / str(standardise), narrow, "classification", data,
            pooling="mean", standardise=standardise, **FROZEN,
        ).scores()["test"]["accuracy"].value
        for standardise in (None, False)
    }  # fmt: skip
    assert accuracy[None] > 0.8
    assert accuracy[False] < 0.7


@pytest.mark.parametrize(
    ("task", "changes", "least"),
    [
        ("tagging", {"decoding": "crf"}, 0.8),
        ("similarity", {"pooling": "mean"}, 0.6),
        ("classification", {"pooling": "mean", "mixture": True}, 0.85),
        ("question-answering", {}, 0.4),
    ],
)
def test_heads_of_all_kinds_are_standardised(
    narrow: Model, tmp_path: Path, task: TaskName, changes: dict[str, Any], least: float
) -> None:
    made = finetune(tmp_path / "out", narrow, task, write_task(tmp_path, task, 200, 60), **FROZEN, **changes)
    assert made.scores()["test"][TASKS[task].choose_by].value > least
