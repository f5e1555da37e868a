"""The table of measures of drift. A new one is a module and a row here."""

from __future__ import annotations

from collections.abc import Mapping

from kepipe.drift import domain, entities, loss, unknown_tokens, unlinked
from kepipe.drift.base import Measure

MEASURES: Mapping[str, Measure] = {
    "unlinked": Measure(
        "share of names that are linked to no entity", "difference of means", unlinked.compare
    ),
    "unknown-tokens": Measure(
        "share of tokens that the tokenizer does not know", "difference of means", unknown_tokens.compare
    ),
    "loss": Measure("the model's loss at blanks, nats", "difference of means", loss.compare),
    "domain": Measure("how well new documents are told from old ones", "AUC", domain.compare),
    "entities": Measure(
        "which entities are named, mentions a document", "divergence, bits", entities.compare
    ),
}
