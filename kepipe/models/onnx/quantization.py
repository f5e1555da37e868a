"""Weights of a graph as whole numbers of 8 bits: a quarter of the size, and faster products on a CPU."""

from __future__ import annotations

import logging
from pathlib import Path

from kepipe.files import write_file

QUANTIZED = ("MatMul", "Gemm", "LSTM", "Gather")
"""Operators whose weights become int8. Convolutions stay: onnxruntime has none of this kind for signed weights."""


def write_int8(source: Path, file: Path) -> None:
    """Write the graph `source` with int8 weights, a scale for each column.

    What goes into a product is rounded to 8 bits when it runs, by its own largest value (dynamic quantisation).
    """
    from onnxruntime.quantization import QuantType, quantize_dynamic

    def quantize(path: Path) -> None:
        quantize_dynamic(
            source,
            path,
            op_types_to_quantize=list(QUANTIZED),
            per_channel=True,
            weight_type=QuantType.QInt8,
        )

    logger = logging.getLogger()
    level = logger.level
    logger.setLevel(logging.ERROR)  # it advises a step that the exporter has done
    try:
        write_file(file, quantize)
    finally:
        logger.setLevel(level)
