"""Quantisation of a graph's weights to int8: a quarter of the size, and faster products on a CPU."""

from __future__ import annotations

import logging
from pathlib import Path

from kepipe.files import write_file

QUANTIZED = ("MatMul", "Gemm", "LSTM", "Gather")
"""Operators whose weights are quantised. Convolutions are not: onnxruntime has no such kernel for signed weights."""


def write_int8(source: Path, file: Path) -> None:
    """Write the graph `source` with int8 weights and one scale per column.

    Inputs of products are rounded to 8 bits at run time, scaled by their largest value (dynamic quantisation).
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
    logger.setLevel(logging.ERROR)  # it recommends a step that the exporter has already done
    try:
        write_file(file, quantize)
    finally:
        logger.setLevel(level)
