"""The table of drift measures. A new measure is a module and a row here."""

from __future__ import annotations

from collections.abc import Mapping

from kepipe.drift import domain, entities, loss, unknown_tokens, unlinked
from kepipe.drift.base import Measure

MEASURES: Mapping[str, Measure] = {
    "unlinked": Measure(
        "share of names that are not linked to an entity", "difference of means", unlinked.compare
    ),
    "unknown-tokens": Measure(
        "share of tokens that are unknown to the tokenizer", "difference of means", unknown_tokens.compare
    ),
    "loss": Measure("the model's loss at masked tokens, nats", "difference of means", loss.compare),
    "domain": Measure("how well a classifier separates new from reference documents", "AUC", domain.compare),
    "entities": Measure(
        "frequencies of entities; mentions per document", "divergence, bits", entities.compare
    ),
}
