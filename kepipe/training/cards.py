"""Peaks of GPUs' tensor cores, from NVIDIA's data sheets."""

from __future__ import annotations

from typing import NamedTuple


class Card(NamedTuple):
    """`name`: part of the driver's name. `peak`: FLOPs per second of dense 16-bit products with fp32 accumulation.
    `source`: NVIDIA's document, and the figure in it. Figures with sparsity are twice the dense ones."""

    name: str
    peak: float
    source: str


CARDS = (
    Card("B200", 2250e12, "HGX B200 data sheet, FP16/BF16 per GPU: 4.5 PFLOPS with sparsity"),
    Card("H200 NVL", 835.5e12, "product page H200, column NVL, BFLOAT16: 1,671 TFLOPS with sparsity"),
    Card("H200", 989.5e12, "product page H200, column SXM, BFLOAT16: 1,979 TFLOPS with sparsity"),
    Card("H100 PCIe", 756.5e12, "H100 data sheet, column PCIe, BFLOAT16: 1,513 TFLOPS with sparsity"),
    Card("H100 NVL", 835.5e12, "product page H100, column NVL, BFLOAT16: 1,671 TFLOPS with sparsity"),
    Card("H100", 989.5e12, "H100 data sheet, column SXM, BFLOAT16: 1,979 TFLOPS with sparsity"),
    Card("A100", 312e12, "A100 data sheet, all columns, BFLOAT16: 312 TFLOPS, 624 with sparsity"),
    Card("L40S", 362.05e12, "L40S data sheet, BFLOAT16: 362.05 TFLOPS, 733 with sparsity"),
    Card("L4", 121e12, "L4 data sheet, BFLOAT16: 242 TFLOPS with sparsity"),
    Card("A10", 125e12, "A10 data sheet, BFLOAT16: 125 TF, 250 with sparsity"),
    Card("V100-PCIE", 112e12, "V100 data sheet (March 2018), Tensor Performance, PCIe: 112 TFLOPS"),
    Card("V100-SXM2", 125e12, "V100 data sheet (March 2018), Tensor Performance, SXM2: 125 TFLOPS"),
    Card("T4", 65e12, "T4 data sheet, Mixed Precision FP16/FP32: 65 TFLOPS"),
    Card("RTX 5090", 209.5e12, "RTX Blackwell white paper, table 3, BF16 with FP32 accumulate: 209.5/419"),
    Card(
        "RTX 4090", 165.2e12, "Ada white paper, appendix A, table 2, BF16 with FP32 accumulate: 165.2/330.4"
    ),
    Card("RTX 3090", 71e12, "GA102 white paper, appendix A, FP16 with FP32 accumulate: 71/142"),
    Card("RTX A6000", 154.8e12, "GA102 white paper, table 3, BF16 with FP32 accumulate: 154.8/309.6"),
)
"""A name that contains another comes before it."""

OTHER_MODELS = frozenset(("MIG", "GRID", "Ti", "D", "SUPER", "Laptop", "Max", "64GB"))
"""Words of the driver's names by which a part of a card, or a card of another speed, differs from one in the table."""


def find_card(name: str) -> Card | None:
    """The card with the driver's name `name`; None if it is not in the table, or for a part of a card (MIG)."""
    words = name.replace("-", " ").split()
    if not OTHER_MODELS.isdisjoint(words):
        return None
    spaced = f" {' '.join(words)} "
    return next((card for card in CARDS if f" {card.name.replace('-', ' ')} " in spaced), None)


def published_peak(name: str) -> float | None:
    """Its peak in 16 bits, in FLOPs a second; None where `find_card` finds none."""
    card = find_card(name)
    return None if card is None else card.peak
