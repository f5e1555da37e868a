"""Which weights of a model are trained, and how fast: all, the head alone, low-rank matrices, the upper layers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kepipe.finetuning.layer_depths import depths

if TYPE_CHECKING:
    from kepipe.finetuning.settings import FinetuneConfig
    from kepipe.finetuning.task_model import TaskModel
    from kepipe.models.protocols import TrainableEncoder


def set_trainable(model: TaskModel[TrainableEncoder], config: FinetuneConfig, seed: int) -> None:
    """Freeze weights, add LoRA and set the layer decay as configured. Raises ValueError if the model lacks the
    layers."""
    if config.train != "all":
        freeze(model.encoder)
    if config.train == "lora":
        from kepipe.finetuning.lora import add_lora

        add_lora(model.encoder, config.lora, seed)
    if config.frozen_layers:
        freeze_layers(model.encoder, config.frozen_layers)
    model.layer_decay = config.layer_decay


def freeze(encoder: TrainableEncoder) -> None:
    """Freeze an encoder except for its task parameters."""
    encoder.requires_grad_(False)
    for weight in encoder.task_parameters():
        weight.requires_grad_(True)


def freeze_layers(encoder: TrainableEncoder, number: int) -> None:
    """Freeze the embeddings and the lowest `number` layers. Raises ValueError if the model has fewer layers."""
    layers = len(encoder.layer_modules())
    if number > layers:
        raise ValueError(f"frozen_layers: the model has {layers} layers, fewer than {number}")
    for weight, depth in depths(encoder):
        if depth <= number:
            weight.requires_grad_(False)
