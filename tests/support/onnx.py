"""Runs graphs in onnxruntime and compares them with the modules from which they were exported."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from kepipe.models.onnx.graph import GraphModule

Array = npt.NDArray[np.float32]
LENGTHS = ((9, 1, 6), (1,), (12, 12), (30, 3))
"""Row lengths of several batches: padded, single tokens, without padding, longer than the example of the export."""


def run(file: Path, inputs: dict[str, Tensor]) -> dict[str, Array]:
    """The outputs by name."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
    values = session.run(None, {name: value.numpy() for name, value in inputs.items()})
    return dict(zip([port.name for port in session.get_outputs()], values, strict=True))


def random_inputs(
    graph: GraphModule, vocabulary: int, lengths: tuple[int, ...], seed: int = 0
) -> dict[str, Tensor]:
    """Inputs with rows of these lengths, and random padding."""
    generator = torch.Generator().manual_seed(seed)
    shape = len(lengths), max(lengths)
    mask_BT = (torch.arange(shape[1]) < torch.tensor(lengths)[:, None]).long()

    def values(name: str) -> Tensor:
        if name == "attention_mask":
            return mask_BT
        if name == "token_type_ids":
            return torch.randint(0, 2, shape, generator=generator)
        size = (shape[0], 5) if name == "decoder_input_ids" else shape
        return torch.randint(0, vocabulary, size, generator=generator)

    return {port.name: values(port.name) for port in graph.inputs}


def largest_difference(file: Path, graph: GraphModule, vocabulary: int) -> float:
    """The largest difference between the outputs of graph and module, at all tokens of rows of `LENGTHS`, without
    padding."""
    largest = 0.0
    for lengths in LENGTHS:
        inputs = random_inputs(graph, vocabulary, lengths)
        outputs = run(file, inputs)
        with torch.no_grad():
            expected = graph(*inputs.values())
        mask_BT = inputs["attention_mask"].numpy() > 0
        assert list(outputs) == [port.name for port in graph.outputs]
        for port, tensor in zip(graph.outputs, expected, strict=True):
            output, reference = outputs[port.name], tensor.numpy()
            assert output.shape == reference.shape
            if port.axes[:2] == ("batch", "length"):
                output, reference = output[mask_BT], reference[mask_BT]
            assert reference.std() > 0.01
            largest = max(largest, float(np.abs(output - reference).max()))
    return largest
