"""Published specifications of GPUs: peaks of their tensor cores, from NVIDIA's data sheets."""

from __future__ import annotations

from typing import NamedTuple


class Card(NamedTuple):
    """`name`: part of the driver's name. `peak`: FLOPs per second of dense 16-bit products with fp32 accumulation.
    `gib`: its memory."""

    name: str
    peak: float
    gib: int


CARDS = (
    Card("B200", 2250e12, 180), Card("H200", 989.5e12, 141), Card("H100 PCIe", 756.5e12, 80),
    Card("H100 NVL", 835.5e12, 94), Card("H100", 989.5e12, 80), Card("A100", 312e12, 80), Card("L40S", 362e12, 48),
    Card("L4", 121e12, 24), Card("A10G", 70e12, 24), Card("A10", 125e12, 24), Card("V100-PCIE", 112e12, 16),
    Card("V100", 125e12, 16), Card("T4", 65e12, 16), Card("RTX 4090", 165.2e12, 24), Card("RTX 3090", 71e12, 24),
)  # fmt: skip
"""A name that contains another comes before it."""


def find_card(name: str) -> Card | None:
    """The card with the driver's name `name`; None if it is not in the table, or for a part of a card (MIG)."""
    if "MIG" in name:
        return None
    words = f" {name.replace('-', ' ')} "
    return next((card for card in CARDS if f" {card.name.replace('-', ' ')} " in words), None)


def published_peak(name: str) -> float | None:
    """Its peak in 16 bits, in FLOPs per second; None if `find_card` finds none."""
    card = find_card(name)
    return None if card is None else card.peak
