"""Trained weights: LoRA, frozen layers, mixtures of layers, layer-wise learning rates."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from kepipe.data.batch import Batch
from kepipe.finetuning.defaults import default_rate
from kepipe.finetuning.fine_tuned import load as load_tuned
from kepipe.finetuning.layer_depths import decayed_groups, depths
from kepipe.finetuning.learning_weights import freeze_layers
from kepipe.finetuning.lora import LoraLinear, add_lora, merge_lora
from kepipe.finetuning.lora_settings import LoraSettings
from kepipe.finetuning.predictor import Predictor
from kepipe.finetuning.settings import FinetuneConfig
from kepipe.models.folder import load
from kepipe.models.networks.cnn_config import CNNBase
from kepipe.models.networks.config import NetworkBase
from kepipe.models.networks.families import assemble
from kepipe.models.networks.lstm_config import LSTMBase
from kepipe.models.networks.nnlm_config import NNLMBase
from kepipe.models.networks.xlnet_config import TransformerXLBase, XLNetBase
from kepipe.models.transformer import Transformer
from kepipe.stages.artifacts import Model
from kepipe.training.optimizer import adamw, set_rate
from kepipe.training.settings import TrainingSettings
from tests.support.tasks import base_model, finetune, write_task


@pytest.fixture(scope="module")
def bert(tmp_path_factory: pytest.TempPathFactory) -> Model:
    return base_model(tmp_path_factory.mktemp("bert"))


def batch() -> Batch:
    tokens = torch.arange(12).reshape(2, 6) + 5
    return Batch(tokens, torch.ones_like(tokens), torch.zeros_like(tokens))


def moved(before: Transformer, after: Transformer) -> set[str]:
    own, others = dict(before.named_parameters()), dict(after.named_parameters())
    assert own.keys() == others.keys()
    return {name for name, weight in own.items() if not torch.equal(weight, others[name])}


@pytest.mark.parametrize("layers", ["attention", "all"])
def test_lora_starts_at_zero_and_merges_exactly(bert: Model, layers: Any) -> None:
    model = load(bert.folder).eval()
    plain = model.encode(batch())
    model.requires_grad_(False)
    add_lora(model, LoraSettings(rank=4, alpha=8, layers=layers), seed=1)
    torch.testing.assert_close(model.encode(batch()), plain)
    learning = [weight for weight in model.parameters() if weight.requires_grad]
    assert len(learning) == 2 * 2 * (
        2 if layers == "attention" else 4
    )  # up and down; two layers; their matrices
    for weight in learning:
        torch.nn.init.normal_(weight, std=0.3)
    changed = model.encode(batch())
    assert not torch.allclose(changed, plain, atol=1e-2)
    narrow = model(batch(), torch.tensor([3]))  # asks for the weights themselves
    merge_lora(model)
    assert not any(isinstance(module, LoraLinear) for module in model.modules())
    torch.testing.assert_close(model.encode(batch()), changed, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(narrow[0], changed[0, 3], rtol=1e-4, atol=1e-5)
    assert moved(load(bert.folder), model) == {
        name for name, _ in model.named_parameters() if _has_matrices(name, layers)
    }


def _has_matrices(name: str, layers: str) -> bool:
    attention = (".qkv.weight", ".output.weight")
    return name.endswith(attention) if layers == "attention" else ".layers." in name and name.endswith(
        (*attention, "up_proj.weight", "down_proj.weight")
    )  # fmt: skip


def test_lora_training_saves_a_plain_model_folder(bert: Model, tmp_path: Path) -> None:
    data = write_task(tmp_path, "classification")
    changes: dict[str, Any] = {"train": "lora", "lora": {"rank": 8, "alpha": 32, "layers": "all"}}
    made = finetune(tmp_path / "lora", bert, "classification", data, learning_rate=1e-2, **changes)
    assert made.scores()["test"]["accuracy"].value > 0.9
    changed = moved(load(bert.folder), load(made.folder))
    assert changed
    assert all(name.endswith("weight") and ".layers." in name for name in changed)
    records = [json.loads(line) for line in (made.folder / "predictions.jsonl").open()]
    again = Predictor.open(made.folder).predict([record["text"] for record in records[:20]])
    assert [answer["predicted"] for answer in again] == [record["predicted"] for record in records[:20]]


def test_layer_decay_lowers_the_rate_from_layer_to_layer(bert: Model) -> None:
    model = load(bert.folder)
    rates = {id(weight): group.rate for group in decayed_groups(model, 0.5) for weight in group.parameters}
    named = dict(model.named_parameters())
    assert rates.keys() == {id(weight) for weight in named.values()}
    assert rates[id(model.tokens.weight)] == 0.125
    assert model.encoder is not None
    for number, layer in enumerate(model.encoder.layers):
        assert {rates[id(weight)] for weight in layer.parameters()} == {0.25 if number == 0 else 0.5}
    assert all(depth == 0 for weight, depth in depths(model) if weight is model.tokens.weight)


def test_optimizer_uses_the_decayed_rates(bert: Model) -> None:
    tuned = _task_model(bert)
    tuned.layer_decay = 0.5
    optimizer = adamw(tuned, TrainingSettings(steps=1))
    set_rate(optimizer, 0.1)
    rates = {id(weight): group["lr"] for group in optimizer.param_groups for weight in group["params"]}
    assert rates[id(tuned.encoder.tokens.weight)] == pytest.approx(0.0125)
    assert {rates[id(weight)] for weight in tuned.head.parameters()} == {0.1}


def _task_model(bert: Model) -> Any:
    from kepipe.finetuning.heads import LabelHead
    from kepipe.finetuning.task_model import TaskModel

    return TaskModel(load(bert.folder), LabelHead(32, 1, 2))


def test_frozen_layers_stay_and_upper_layers_learn(bert: Model, tmp_path: Path) -> None:
    data = write_task(tmp_path, "classification", 120, 40)
    made = finetune(tmp_path / "w", bert, "classification", data, epochs=2, frozen_layers=1)
    changed = moved(load(bert.folder), load(made.folder))
    assert changed
    assert all(".layers.1." in name for name in changed)
    with pytest.raises(ValueError, match="the model has 2 layers, fewer than 3"):
        freeze_layers(load(bert.folder), 3)


@pytest.mark.parametrize("train", ["head", "all"])
def test_layer_mixture_is_trained_saved_and_loaded(bert: Model, tmp_path: Path, train: str) -> None:
    data = write_task(tmp_path, "classification", 200, 60)
    made = finetune(
        tmp_path / "w",
        bert,
        "classification",
        data,
        mixture=True,
        train=train,
        pooling="mean",
        learning_rate=1e-2,
    )
    opened = load_tuned(made.folder)
    own = opened.model.own_parameters()
    assert own["mixture.scalars"].shape == (3,)
    assert own["mixture.scalars"].abs().max() > 0
    if train == "head":
        assert moved(load(bert.folder), load(made.folder)) == set()
    records = [json.loads(line) for line in (made.folder / "predictions.jsonl").open()]
    again = Predictor(opened).predict([record["text"] for record in records])
    assert [answer["predicted"] for answer in again] == [record["predicted"] for record in records]


def test_encode_layers_ends_with_the_encoded_states(bert: Model, tmp_path: Path) -> None:
    for family in ("bert", "gpt2", "bart"):
        folder = bert.folder if family == "bert" else base_model(tmp_path / family, family).folder
        model = load(folder).eval()
        states = model.encode_layers(batch())
        assert len(states) == model.num_states == 3
        torch.testing.assert_close(states[-1], model.encode(batch()))


@pytest.mark.parametrize(
    ("base", "states"),
    [
        (NNLMBase(order=3, embedding=8, hidden=8), 1),
        (LSTMBase(embedding=8, hidden=12, layers=3, bidirectional=True), 3),
        (CNNBase(embedding=8, hidden=12, layers=2), 2),
        (TransformerXLBase(layers=2, hidden=8, heads=2), 3),
        (XLNetBase(layers=2, hidden=8, heads=2), 3),
    ],
    ids=lambda value: getattr(value, "family", None),
)
def test_encode_layers_of_a_network_ends_with_the_encoded_states(base: NetworkBase, states: int) -> None:
    config = replace(base.configure(30), start=1)
    model = assemble(config).initialise(0).eval()
    found = model.encode_layers(batch())
    assert len(found) == model.num_states == states
    torch.testing.assert_close(found[-1], model.encode(batch()))
    for one, other in itertools.pairwise(found):
        assert not torch.allclose(one, other)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"train": "lora", "frozen_layers": 1}, "are of `train: all`"),
        ({"train": "head", "layer_decay": 0.9}, "are of `train: all`"),
        ({"standardise": False}, "`standardise` is of `train: head`"),
        ({"lora": {"rank": 4}}, "`lora` is of `train: lora`"),
        ({"decoding": "crf"}, "`decoding` is of `task: tagging`"),
        ({"task": "relations", "overlap": 8}, "reads what stands around its spans"),
        ({"task": "text-to-text", "calibrate": True}, "has no probabilities to fit"),
        ({"task": "similarity", "class_weights": "balanced"}, "`class_weights` are of tasks"),
        ({"task": "tagging", "decoding": "crf", "label_smoothing": 0.1}, "`label_smoothing` is of"),
    ],
)
def test_contradictory_settings_are_rejected(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        FinetuneConfig.model_validate({"task": "classification", **settings})


def test_default_learning_rate_depends_on_trained_weights_and_width(bert: Model) -> None:
    model = load(bert.folder)
    rates = {train: default_rate(model, train) for train in ("all", "head", "lora")}
    assert rates == {"all": 5e-5 * 768 / model.hidden_size, "head": 1e-3, "lora": 5e-4}
    assert default_rate(model, "head", standardised=True) == 1e-2
    lstm = assemble(LSTMBase(embedding=8, hidden=8).configure(30))
    assert default_rate(lstm, "all") == 1e-3


@pytest.mark.parametrize(
    ("per_epoch", "epochs", "steps"), [(2, None, 40), (30, None, 420), (1000, None, 3000), (2, 4, 8)]
)
def test_small_data_gets_more_epochs(per_epoch: int, epochs: int | None, steps: int) -> None:
    config = FinetuneConfig.model_validate({"task": "pairs", "epochs": epochs})
    training = config.training(per_epoch, default_rate=1e-4)
    assert (training.steps, training.learning_rate) == (steps, 1e-4)
