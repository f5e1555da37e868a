"""Answer texts with a fine-tuned model: `kepipe predict`, `LoadedModel.predict`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kepipe.finetuning.predictor import Predictor

NO_ENTITIES = (
    "no entities were used: name them, as in `[[Warsaw||Q270]]`, or say by a graph or a linker (--graph, --linker) how "
    "to find them"
)


def answer(predictor: Predictor, texts: Sequence[str], tell: Callable[[str], None]) -> list[dict[str, Any]]:
    """A record of each text, as `Predictor.predict` gives it; `tell` hears where a model that was taught with entities
    was given none. Raises ValueError for a text that does not mark what is asked about."""
    records = predictor.predict(texts)
    if predictor.takes_entities and not any("entities" in record for record in records):
        tell(NO_ENTITIES)
    return records
