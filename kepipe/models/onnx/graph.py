"""Export of a module as an ONNX graph: named inputs and outputs, with dynamic axes `batch` and `length`."""

from __future__ import annotations

import logging
import warnings
from abc import abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from kepipe.files import write_file
from kepipe.models.onnx.lstm import with_onnx_lstms

OPSET = 20
"""Version of the ONNX operators (ONNX 1.15; onnxruntime 1.17 and later)."""
BATCH, LENGTH = 3, 7
"""Rows and tokens of the example input: sizes that are unlikely to equal those of weights, and not 1."""
MISSING = "ONNX export needs the packages onnx, onnxscript and onnxruntime: `pip install kepipe[onnx]`"


@dataclass(frozen=True)
class Port:
    """An input or output of a graph. `axes`: the size of each axis; a name for a dynamic one."""

    name: str
    axes: tuple[str | int, ...]
    about: str
    dtype: Literal["int64", "float32"] = "float32"


TOKENS = Port(
    "input_ids", ("batch", "length"), "token ids, with special tokens; padded at the right", "int64"
)
PRESENT = Port("attention_mask", ("batch", "length"), "1 on tokens, 0 on padding", "int64")
SEGMENTS = Port("token_type_ids", ("batch", "length"), "0 on the first text, 1 on the second", "int64")
DECODER_TOKENS = Port(
    "decoder_input_ids", ("batch", "decoder_length"), "token ids of the decoder's input so far", "int64"
)


class GraphModule(nn.Module):
    """A module to be exported: its inputs are int64 tensors in the order of `inputs`."""

    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    start: int | None = None
    """The first token of a decoder's input, if known."""

    @abstractmethod
    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """The outputs in the order of `outputs`."""

    def example(self) -> tuple[Tensor, ...]:
        """Example inputs for the export."""
        sizes = {"batch": BATCH, "length": LENGTH, "decoder_length": LENGTH - 2}
        return tuple(
            torch.ones([sizes[axis] for axis in port.axes if isinstance(axis, str)], dtype=torch.int64)
            for port in self.inputs
        )


@torch.no_grad()
def write_graph(file: Path, graph: GraphModule) -> None:
    """Export a module in evaluation mode. Equal weights give equal outputs up to rounding.

    Raises ValueError if the packages are missing.
    """
    try:
        import onnxruntime  # noqa: F401
        import onnxscript  # noqa: F401
    except ImportError:
        raise ValueError(MISSING) from None
    exported = with_onnx_lstms(graph).eval()
    named = (tuple(dict(enumerate(port.axes)) for port in graph.inputs),)  # of `*inputs`
    any_size = (tuple(dict.fromkeys(axes, torch.export.Dim.DYNAMIC) for axes in named[0]),)
    with _quiet():
        traced = torch.export.export(exported, exported.example(), dynamic_shapes=any_size)
        program: Any = torch.onnx.export(
            traced,
            dynamo=True,
            input_names=[port.name for port in graph.inputs],
            output_names=[port.name for port in graph.outputs],
            dynamic_shapes=named,
            opset_version=OPSET,
            verbose=False,
        )
    for part in program.model.graph.all_nodes():
        part.metadata_props.clear()  # stack traces of the code from which nodes were made, with file paths
    write_file(file, lambda path: program.save(str(path)))


@contextmanager
def _quiet() -> Iterator[None]:
    """Suppress the exporter's messages."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
