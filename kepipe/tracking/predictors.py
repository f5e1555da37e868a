"""Table of predictors for registered models; a model uses the first row that fits its folder. A new one is one file and
one row."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol

from kepipe.inference.opening import read_config

Kind = Literal["long", "double", "string"]


class ServedModel(Protocol):
    """The interface that MLflow calls."""

    def predict(self, model_input: Any, params: Mapping[str, Any] | None = None) -> Any: ...


class Param(NamedTuple):
    """An inference parameter: its default, and its maximum on a server; the minimum is 1."""

    default: int
    maximum: int


@dataclass(frozen=True)
class PredictorRow:
    """`fits`: whether the row applies to a model folder; raises ValueError for a damaged config. `columns`: columns of
    the output table. `example`: an input text for a model. `params`: inference parameters."""

    fits: Callable[[Path], bool]
    load: Callable[[Path], ServedModel]
    columns: Mapping[str, Kind]
    example: Callable[[Path], str]
    params: Mapping[str, Param] = field(default_factory=dict)
    mask_token: Callable[[Path], str] = lambda _folder: ""
    """The mask token that an input text must contain; "": none."""


def _has_task(folder: Path) -> bool:
    from kepipe.finetuning.fine_tuned import SPEC

    return (folder / SPEC).is_file()


def _has_capability(capability: str) -> Callable[[Path], bool]:
    def fits(folder: Path) -> bool:
        return capability in read_config(folder).capabilities

    return fits


def _mask_token(folder: Path) -> str:
    from kepipe.tokenization.tokenizer import load_tokenizer

    return load_tokenizer(folder).named["mask"]


def _task_example(folder: Path) -> str:
    from kepipe.finetuning.fine_tuned import read_spec

    return read_spec(folder).row.example


def _load_task(folder: Path) -> ServedModel:
    from kepipe.tracking.task_predictor import TaskPredictor

    return TaskPredictor.load(folder)


def _load_masks(folder: Path) -> ServedModel:
    from kepipe.tracking.mask_predictor import MaskPredictor

    return MaskPredictor.load(folder)


def _load_text(folder: Path) -> ServedModel:
    from kepipe.tracking.text_predictor import TextPredictor

    return TextPredictor.load(folder)


PREDICTORS: Mapping[str, PredictorRow] = {
    "task": PredictorRow(
        _has_task,
        _load_task,
        {"text": "long", "prediction": "string", "probability": "double", "answer": "string"},
        _task_example,
    ),
    "masks": PredictorRow(
        _has_capability("masked-lm"),
        _load_masks,
        {"text": "long", "place": "long", "prediction": "string", "probability": "double"},
        lambda folder: f"Warsaw lies on the {_mask_token(folder)}.",
        {"top": Param(5, 100)},
        _mask_token,
    ),
    "text": PredictorRow(
        _has_capability("language-model"),
        _load_text,
        {"text": "long", "prediction": "string"},
        lambda _folder: "Warsaw lies on the",
        {"limit": Param(50, 1000)},
    ),
}


def predictor_of(folder: Path) -> PredictorRow | None:
    """The row for the model in a folder; None if it cannot predict. Raises ValueError, naming the file, for a folder
    whose config is missing or damaged: what the model can do is then unknown."""
    return next((row for row in PREDICTORS.values() if row.fits(folder)), None)


def require_predictor(folder: Path, name: str = "") -> PredictorRow:
    """As `predictor_of`. Raises ValueError also for a model that cannot predict, which the message calls `name`, or
    else by its folder."""
    row = predictor_of(folder)
    if row is None:
        raise ValueError(
            f"{name or folder}: this model cannot predict: it neither fills masks, generates text nor has a task"
        )
    return row
