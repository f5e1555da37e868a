"""Answer texts with a model: `kepipe predict`, `LoadedModel.predict`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

NO_ENTITIES = (
    "no entities were used: mark them in the text, as in `[[Warsaw||Q270]]`, or give a graph or a linker to find them "
    "(--graph, --linker)"
)


class Answering(Protocol):
    """A model that answers texts. `takes_entities`: whether it uses entities that they name."""

    @property
    def takes_entities(self) -> bool: ...

    def predict(self, texts: Sequence[str]) -> list[dict[str, Any]]: ...


def answer(predictor: Answering, texts: Sequence[str], tell: Callable[[str], None]) -> list[dict[str, Any]]:
    """The model's record for each text. `tell` receives a message if a model that was trained with entities got none.
    Raises ValueError for a text that does not mark the spans in question."""
    records = predictor.predict(texts)
    if predictor.takes_entities and not any("entities" in record for record in records):
        tell(NO_ENTITIES)
    return records
