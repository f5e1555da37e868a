"""Every family under several processes: weights without a gradient, and gradients exchanged in bf16."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import replace

import pytest
import torch

from kepipe.data.batch import Batch
from kepipe.device import native_bfloat16
from kepipe.models.assemble import fuse
from kepipe.models.config import FusionConfig
from kepipe.models.protocols import TrainableModel
from kepipe.models.transformer import Transformer
from kepipe.training.criterion import Losses
from kepipe.training.distributed import LossModule, ShardedLossModule, make_accelerator
from kepipe.training.state_dict import full_tensor
from tests.gpu import cases
from tests.support.process_groups import group_of_one

LENGTH, HIDDEN = 24, 48
FAMILIES = {one.name: one for one in cases.families(LENGTH)}
ALL = FAMILIES | {one.name: one for one in cases.objectives(LENGTH)}


def total(losses: Losses) -> torch.Tensor:
    return torch.stack(list(losses.values())).sum()


def without_gradient(model: TrainableModel, case: cases.Case, batch: Batch) -> set[str]:
    """Names of weights that learn and that the batch gives no gradient, but for those that the model names."""
    model.zero_grad()
    total(LossModule(model).train()(case.objective.criterion, batch)).backward()
    named = {id(weight) for weight in model.partially_used_parameters()}
    return {
        name
        for name, weight in model.named_parameters()
        if weight.requires_grad and weight.grad is None and id(weight) not in named
    }


@pytest.mark.parametrize("name", ALL)
def test_model_names_all_weights_without_a_gradient(name: str) -> None:
    """DDP looks for them only where the model names some, and would wait for any other without end."""
    assert not without_gradient(ALL[name].model(HIDDEN), ALL[name], ALL[name].batch())


def test_last_layer_entity_weights_never_get_a_gradient() -> None:
    case = ALL["bert, mlm"]
    model = case.model(HIDDEN)
    assert isinstance(model, Transformer)
    fused = fuse(model, FusionConfig(first=1, hidden=16, heads=2), 0)[0]
    assert fused.partially_used_parameters()
    linked_BT = (torch.arange(LENGTH) % 5 == 2).long().expand(8, -1).contiguous()
    found = [
        without_gradient(
            fused, case, replace(case.batch(), entities=entities, entity_vectors=torch.ones(2, 16))
        )
        for entities in (linked_BT, torch.zeros_like(linked_BT))
    ]
    assert found[0] == found[1]
    assert {name.rsplit(".", 1)[0] for name in found[0]} == {
        "encoder.layers.1.mlp.entity_norm",
        "encoder.layers.1.mlp.entity_down_proj",
    }


@pytest.fixture(scope="module")
def _group(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with group_of_one(tmp_path_factory.mktemp("group")):
        yield


@pytest.mark.usefixtures("_group")
@pytest.mark.parametrize("name", [name for name in FAMILIES if not name.startswith("elmo")])
def test_fsdp_in_bf16_gives_losses_and_gradients_of_autocast(name: str) -> None:
    """Within the rounding of bf16; weights and gradients that a process holds are in fp32."""
    case = FAMILIES[name]
    if case.family == "lstm" and not native_bfloat16("cpu"):
        pytest.skip("torch has no LSTM in bf16 on this processor")
    plain = LossModule(case.model(HIDDEN)).eval()
    sharded = ShardedLossModule(deepcopy(plain.model), make_accelerator("bf16", "cpu")).eval()
    found = []
    for module in (plain, sharded):
        with torch.autocast("cpu", torch.bfloat16):
            loss = total(module(case.objective.criterion, case.batch()))
        loss.backward()
        used = [weight for weight in module.parameters() if weight.grad is not None]
        assert {value.dtype for w in used for value in (w, w.grad)} == {torch.float32}
        found.append(loss.item())
    assert found[1] == pytest.approx(found[0], rel=0.02)
    named = {id(weight) for weight in plain.model.partially_used_parameters()}
    pairs = [
        (one.grad.flatten(), full_tensor(other.grad).flatten())
        for one, other in zip(plain.parameters(), sharded.parameters(), strict=True)
        if one.grad is not None and other.grad is not None and id(one) not in named
    ]
    ours, theirs = (torch.cat(side) for side in zip(*pairs, strict=True))
    assert torch.cosine_similarity(ours, theirs, 0) > 0.99


@pytest.mark.usefixtures("_group")
def test_fsdp_rejects_a_scalar_parameter() -> None:
    model = FAMILIES["elmo, bidirectional-lm"].model(HIDDEN)
    with pytest.raises(
        ValueError, match=r"fsdp2 cannot shard mixture\.gamma, a single number: set `parallel: ddp`"
    ):
        ShardedLossModule(model, make_accelerator("bf16", "cpu"))
