"""Predict with a fine-tuned model: `kepipe predict`, `LoadedModel.predict`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kepipe.finetuning.predictor import Predictor

NO_ENTITIES = (
    "no entities were used: mark them in the text, as in `[[Warsaw||Q270]]`, or give a graph or a linker to find them "
    "(--graph, --linker)"
)


def answer(predictor: Predictor, texts: Sequence[str], tell: Callable[[str], None]) -> list[dict[str, Any]]:
    """A record for each text (`Predictor.predict`). `tell` is called if a model that was trained with entities gets
    none. Raises ValueError for a text without the markers that the task needs."""
    records = predictor.predict(texts)
    if predictor.takes_entities and not any("entities" in record for record in records):
        tell(NO_ENTITIES)
    return records
