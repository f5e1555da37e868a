"""Which weights of a model a task changes, and how fast: all, the head alone, low-rank matrices, the upper layers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from kepipe.models.protocols import ParameterGroup

if TYPE_CHECKING:
    from torch import nn

    from kepipe.finetuning.settings import FinetuneConfig
    from kepipe.finetuning.task_model import TaskModel
    from kepipe.models.protocols import TrainableEncoder


def set_learning(model: TaskModel[TrainableEncoder], config: FinetuneConfig, seed: int) -> None:
    """As the settings say. Raises ValueError for what a model has not."""
    if config.train != "all":
        freeze(model.encoder)
    if config.train == "lora":
        from kepipe.finetuning.lora import add_lora

        add_lora(model.encoder, config.lora, seed)
    if config.frozen_layers:
        freeze_layers(model.encoder, config.frozen_layers)
    model.layer_decay = config.layer_decay


def freeze(encoder: TrainableEncoder) -> None:
    """Have nothing of an encoder learn but what is the task's own."""
    encoder.requires_grad_(False)
    for weight in encoder.task_parameters():
        weight.requires_grad_(True)


def freeze_layers(encoder: TrainableEncoder, number: int) -> None:
    """Have the embeddings and so many layers above them stay as they are. Raises ValueError where there are fewer."""
    layers = len(encoder.layer_modules())
    if number > layers:
        raise ValueError(f"frozen_layers: the model has {layers} layers, fewer than {number}")
    for weight, depth in depths(encoder):
        if depth <= number:
            weight.requires_grad_(False)


def depths(encoder: TrainableEncoder) -> Iterator[tuple[nn.Parameter, int]]:
    """Each weight with its depth: 0 of embeddings, n of layer number n from 1, and of what comes after that."""
    of_layer = {
        id(weight): number
        for number, layer in enumerate(encoder.layer_modules(), start=1)
        for weight in layer.parameters()
    }
    depth = 0
    for weight in encoder.parameters():
        depth = of_layer.get(id(weight), depth)
        yield weight, depth


def decayed_groups(encoder: TrainableEncoder, decay: float) -> list[ParameterGroup]:
    """The encoder's groups, parted by layer: each learns `decay` times as fast as the one above it, the last one as the
    head (Clark et al. 2020, appendix A; Howard & Ruder 2018, §3.2)."""
    depth_of = {id(weight): depth for weight, depth in depths(encoder)}
    top = len(encoder.layer_modules()) + 1
    groups: dict[tuple[int, bool], list[nn.Parameter]] = {}
    for group in encoder.parameter_groups():
        for weight in group.parameters:
            groups.setdefault((depth_of[id(weight)], group.decays), []).append(weight)
    return [
        ParameterGroup(weights, decays, decay ** (top - depth)) for (depth, decays), weights in groups.items()
    ]
