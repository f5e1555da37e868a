"""Which weights of a model are trained, and how fast: all, the head alone, low-rank matrices, the upper layers."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kepipe.finetuning.layer_depths import depths

if TYPE_CHECKING:
    from kepipe.finetuning.settings import FinetuneConfig
    from kepipe.finetuning.task_model import TaskModel
    from kepipe.models.protocols import TrainableEncoder

NEW_WEIGHTS = {"head": 1e-3, "lora": 5e-4}
"""Learning rates if only new weights are trained: a head, or low-rank matrices."""
OTHER_NETWORKS = 1e-3
"""Learning rate of a network that is no transformer."""
TRANSFORMER_RATE, REFERENCE_WIDTH = 5e-5, 768
"""Learning rate of a transformer of this width (Devlin et al. 2019, A.3)."""


def default_rate(encoder: TrainableEncoder, train: str) -> float:
    """The peak learning rate if none is set. `train`: which weights are trained, as in `FinetuneConfig`.

    For transformers a heuristic: that Adam's best rate for hidden matrices is inversely proportional to the width (Yang
    et al. 2022, "Tensor Programs V"), applied to all weights."""
    if train in NEW_WEIGHTS:
        return NEW_WEIGHTS[train]
    has_attention = getattr(encoder.config, "heads", 0) > 0
    return TRANSFORMER_RATE * REFERENCE_WIDTH / encoder.hidden_size if has_attention else OTHER_NETWORKS


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
