"""MLflow predictions of a language model: the continuation of each text, as a table."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from kepipe.device import resolve
from kepipe.inference.opening import open_model
from kepipe.models.protocols import TextGenerator
from kepipe.tracking.texts import texts_of

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ("text", "prediction")
BATCH_SIZE = 32
"""Texts per forward pass."""


class TextPredictor:
    """A language model that generates text; MLflow calls `predict`."""

    def __init__(self, model: TextGenerator) -> None:
        self._model = model

    @classmethod
    def load(cls, folder: Path) -> Self:
        """The model in a folder. Raises ValueError for one that does not generate text."""
        model = open_model(folder, resolve("auto")).language_model
        if not isinstance(model, TextGenerator):
            raise ValueError(f"{folder}: this model does not generate text")
        return cls(model)

    def predict(self, model_input: Any, params: Mapping[str, Any] | None = None) -> pd.DataFrame:
        """The greedy continuation of each text: up to `limit` tokens. `text`: 0-based index.

        Raises ValueError for a text that leaves no room for them.
        """
        import pandas as pd

        texts, limit = texts_of(model_input), int((params or {}).get("limit", 50))
        tokenizer, rows = self._model.tokenizer, []
        for start in range(0, len(texts), BATCH_SIZE):
            prompts = [tokenizer.encode([text]).tokens for text in texts[start : start + BATCH_SIZE]]
            written = self._model.generate(prompts, limit=limit)
            rows += [(start + row, tokenizer.decode(tokens.tolist())) for row, tokens in enumerate(written)]
        return pd.DataFrame(rows, columns=list(COLUMNS))
