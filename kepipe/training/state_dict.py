"""Weights and optimiser state as named tensors, the same for one process and for several."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import torch
from torch import Tensor, nn


def full_tensor(value: Tensor) -> Tensor:
    """The value, detached, and gathered if FSDP has sharded it."""
    full: Tensor = value.full_tensor() if hasattr(value, "full_tensor") else value
    return full.detach()


def weights(model: nn.Module, *, copy: bool = False) -> dict[str, Tensor]:
    """Parameter name → its full value on the CPU; tied weights once. `copy`: not that of a model on the CPU itself."""
    return {name: full_tensor(value).to("cpu", copy=copy) for name, value in model.named_parameters()}


def optimizer_state(model: nn.Module, optimizer: torch.optim.Optimizer, *, copy: bool) -> dict[str, Tensor]:
    """The optimiser's state: "exp_avg.<parameter>" and so on → its full value on the CPU. `copy`: as in `weights`."""
    state = stored_state(model, optimizer)
    return {name: full_tensor(value).to("cpu", copy=copy) for name, value in state.items()}


def stored_state(model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The optimiser's state as stored: on its device, and sharded if the weights are."""
    return {
        f"{what}.{name}": value
        for name, parameter in model.named_parameters()
        for what, value in optimizer.state.get(parameter, {}).items()
    }


@torch.no_grad()
def restore_weights(model: nn.Module, saved: Mapping[str, Tensor]) -> None:
    """Copy `saved` into the model. Raises ValueError if the names differ."""
    parameters = dict(model.named_parameters())
    require_same_names(parameters, saved)
    for name, parameter in parameters.items():
        parameter.copy_(_like(parameter, saved[name]))


def require_same_names(parameters: Collection[str], saved: Collection[str]) -> None:
    """Raise ValueError if a checkpoint has other weights than the model."""
    if different := sorted(set(parameters) ^ set(saved)):
        raise ValueError(f"the checkpoint is of another model: {', '.join(different[:3])}")


def restore_optimizer_state(
    model: nn.Module, optimizer: torch.optim.Optimizer, saved: Mapping[str, Tensor]
) -> None:
    """Load what `optimizer_state` returned into the optimiser."""
    parameters = dict(model.named_parameters())
    for key, value in saved.items():
        what, name = key.split(".", 1)
        parameter = parameters[name]
        # the step count is a scalar, and the fused kernel wants it on the weights' device
        placed = value.to(parameter.device) if value.ndim == 0 else _like(parameter, value)
        optimizer.state[parameter][what] = placed.clone()


def _like(parameter: Tensor, value: Tensor) -> Tensor:
    """`value` on the parameter's device, and sharded like the parameter if FSDP has sharded it."""
    placed = value.to(parameter.device)
    if not hasattr(parameter, "full_tensor"):
        return placed
    from torch.distributed.tensor import (
        DTensor,
        distribute_tensor,
    )  # takes half as long to import as torch itself

    assert isinstance(parameter, DTensor)
    return distribute_tensor(placed, parameter.device_mesh, parameter.placements)
