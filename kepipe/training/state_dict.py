"""The state of a training as named tensors, the same for one process and for many."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn


def whole(value: Tensor) -> Tensor:
    """The value without its gradient, put together where FSDP has cut it up."""
    full: Tensor = value.full_tensor() if hasattr(value, "full_tensor") else value
    return full.detach()


def weights(model: nn.Module) -> dict[str, Tensor]:
    """Parameter name → its whole value on the CPU; a tied weight once."""
    return {name: whole(parameter).cpu() for name, parameter in model.named_parameters()}


def memory(model: nn.Module, optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """What the optimiser remembers: "exp_avg.<parameter>" and so on → its whole value on the CPU."""
    return {
        f"{what}.{name}": whole(value).cpu()
        for name, parameter in model.named_parameters()
        for what, value in optimizer.state.get(parameter, {}).items()
    }


@torch.no_grad()
def restore_weights(model: nn.Module, saved: Mapping[str, Tensor]) -> None:
    """Copy `saved` into the model. Raises ValueError where the names differ."""
    parameters = dict(model.named_parameters())
    if parameters.keys() != saved.keys():
        different = ", ".join(sorted(parameters.keys() ^ saved.keys())[:3])
        raise ValueError(f"the checkpoint is of another model: {different}")
    for name, parameter in parameters.items():
        parameter.copy_(_like(parameter, saved[name]))


def restore_memory(model: nn.Module, optimizer: torch.optim.Optimizer, saved: Mapping[str, Tensor]) -> None:
    """Give the optimiser back what `memory` saved."""
    parameters = dict(model.named_parameters())
    for key, value in saved.items():
        what, name = key.split(".", 1)
        parameter = parameters[name]
        # The count of updates is one number, on the device of the weights for the fused kernel.
        placed = value.to(parameter.device) if value.ndim == 0 else _like(parameter, value)
        optimizer.state[parameter][what] = placed.clone()


def _like(parameter: Tensor, value: Tensor) -> Tensor:
    """`value` on the parameter's device, and cut up as it is where FSDP has cut it up."""
    placed = value.to(parameter.device)
    if not hasattr(parameter, "full_tensor"):
        return placed
    from torch.distributed.tensor import (
        DTensor,
        distribute_tensor,
    )  # takes half as long to import as torch itself

    assert isinstance(parameter, DTensor)
    return distribute_tensor(placed, parameter.device_mesh, parameter.placements)
