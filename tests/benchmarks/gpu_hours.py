"""Expected hours of the shipped pipelines' profile `gpu` on one card: `python -m tests.benchmarks.gpu_hours`.

Nothing is measured: the FLOPs of the matrix products of all updates, over 40% of a card's nominal peak in 16 bits.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kepipe.models.base import configure
from kepipe.models.config import TransformerConfig
from kepipe.objectives.t5 import SpanCorruption
from kepipe.pipeline import load
from kepipe.pipeline.shipped import shipped
from kepipe.training.cards import CARDS
from kepipe.training.expected_hours import MFU, RowLengths, hours, training_flops_of

CARD_NAMES = ("H100", "A100", "L4")
TARGET = 114 / 512
"""Target tokens per token of a row in span corruption, at T5's density and mean span (Raffel et al. 2020, §3.1.4)."""


def row_lengths(config: TransformerConfig, stage: Any) -> RowLengths:
    """The tokens of a row of a stage's objective."""
    length, objective = stage.length, stage.objective
    if not config.decoder_layers:
        return RowLengths(length, 0, getattr(objective, "mlm_probability", 0.15) * length)
    if not config.encoder_layers:
        return RowLengths(0, length, length)
    target = TARGET * length if isinstance(objective, SpanCorruption) else length
    return RowLengths(length, round(target), target)


def profiles() -> Iterator[tuple[str, Path]]:
    """The shipped pipelines that have the profile."""
    for name, file in shipped().items():
        if "\n  gpu:\n" in file.read_text(encoding="utf-8"):
            yield name, file


def lines() -> Iterator[str]:
    """The rows of the table: a pipeline, what is trained, hours on each card."""
    cards = [next(card for card in CARDS if card.name == name) for name in CARD_NAMES]
    yield f"| pipeline | model | tokens | FLOPs | {' | '.join(f'hours, {name}' for name in CARD_NAMES)} |"
    yield f"|---|---|---|---|{'---|' * len(CARD_NAMES)}"
    for name, file in profiles():
        flow, settings = load(file, ["profile=gpu"])
        stage: Any = next(node.config for node in flow.nodes if node.name == "pretrain")
        vocabulary = settings["stages"]["shards"]["tokenizer"]["size"]
        config = configure(stage.base, vocabulary)
        tokens = stage.steps * stage.batch_tokens
        flops = tokens / stage.length * training_flops_of(config, row_lengths(config, stage))
        cells = " | ".join(f"{hours(flops, card):,.0f}" for card in cards)
        yield f"| {name} | {stage.base.family}-{stage.base.size} | {tokens / 1e9:,.0f}·10⁹ | {flops:.1e} | {cells} |"


def main() -> None:
    """Print the table of docs/gpu.md."""
    print(f"at {MFU:.0%} of the peak")
    for line in lines():
        print(line)


if __name__ == "__main__":
    main()
