"""The depth of a model's weights, and layer-wise learning rate decay."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from kepipe.models.protocols import ParameterGroup

if TYPE_CHECKING:
    from torch import nn

    from kepipe.models.protocols import TrainableEncoder


def depths(encoder: TrainableEncoder) -> Iterator[tuple[nn.Parameter, int]]:
    """Each weight with its depth: 0 for embeddings, n for layer n (from 1) and for weights after it."""
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
    """The encoder's parameter groups, split by layer: the learning rate of each layer is `decay` times that of the
    layer above, and that of the last layer `decay` times the head's (Clark et al. 2020, appendix A; Howard & Ruder
    2018, §3.2)."""
    depth_of = {id(weight): depth for weight, depth in depths(encoder)}
    top = len(encoder.layer_modules()) + 1
    groups: dict[tuple[int, bool], list[nn.Parameter]] = {}
    for group in encoder.parameter_groups():
        for weight in group.parameters:
            groups.setdefault((depth_of[id(weight)], group.decays), []).append(weight)
    return [
        ParameterGroup(weights, decays, decay ** (top - depth)) for (depth, decays), weights in groups.items()
    ]
