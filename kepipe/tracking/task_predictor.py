"""MLflow predictions of a fine-tuned model: one row per text, as a table."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from kepipe.device import resolve
from kepipe.finetuning.predictor import Predictor
from kepipe.tracking.texts import texts_of

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ("text", "prediction", "probability", "answer")


class TaskPredictor:
    """A fine-tuned model; MLflow calls `predict`."""

    def __init__(self, predictor: Predictor) -> None:
        self._predictor = predictor

    @classmethod
    def load(cls, folder: Path) -> Self:
        """The model in a folder, with the knowledge stored there."""
        return cls(Predictor.open(folder, device=resolve("auto")))

    def predict(self, model_input: Any, params: Mapping[str, Any] | None = None) -> pd.DataFrame:  # noqa: ARG002
        """One row per text. `text`: 0-based index; `prediction`: the label, or JSON if the prediction has several
        parts; `probability`: that of the prediction, NaN if there is no single one; `answer`: the complete prediction
        as JSON.

        Raises ValueError for a text without the markup that the task requires.
        """
        import pandas as pd

        found = self._predictor.predict(texts_of(model_input))
        return pd.DataFrame(
            [_row(number, record) for number, record in enumerate(found)], columns=list(COLUMNS)
        )


def _row(number: int, record: Mapping[str, Any]) -> tuple[int, str, float, str]:
    predicted = record["predicted"]
    label = predicted if isinstance(predicted, str) else json.dumps(predicted, ensure_ascii=False)
    answer = {name: value for name, value in record.items() if name != "id"}
    return number, label, float(record.get("probability", "nan")), json.dumps(answer, ensure_ascii=False)
