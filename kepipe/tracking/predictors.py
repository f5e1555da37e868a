"""The table of what a registered model answers: the first row that fits its folder. A new one is a file and a row."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol

from kepipe.inference.opening import read_config

Kind = Literal["long", "double", "string"]


class ServedModel(Protocol):
    """What MLflow calls."""

    def predict(self, model_input: Any, params: Mapping[str, Any] | None = None) -> Any: ...


class Param(NamedTuple):
    """What may be set for a call: its default, and the most that a server takes; 1 is the least."""

    default: int
    most: int


@dataclass(frozen=True)
class PredictorRow:
    """`fits`: whether a model folder answers so. `columns`: of the table that it answers with. `params`: what may be
    set for a call."""

    fits: Callable[[Path], bool]
    load: Callable[[Path], ServedModel]
    columns: Mapping[str, Kind]
    params: Mapping[str, Param] = field(default_factory=dict)
    mark: Callable[[Path], str] = lambda _folder: ""
    """What a text has to have in it to be answered: the tokenizer's mask."""


def _has_task(folder: Path) -> bool:
    from kepipe.finetuning.fine_tuned import SPEC

    return (folder / SPEC).is_file()


def _can(capability: str) -> Callable[[Path], bool]:
    def fits(folder: Path) -> bool:
        try:
            return capability in read_config(folder).capabilities
        except (ValueError, OSError, KeyError):
            return False

    return fits


def _mask(folder: Path) -> str:
    from kepipe.tokenization.tokenizer import load_tokenizer

    return load_tokenizer(folder).named["mask"]


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
    ),
    "masks": PredictorRow(
        _can("masked-lm"),
        _load_masks,
        {"text": "long", "place": "long", "prediction": "string", "probability": "double"},
        {"top": Param(5, 100)},
        _mask,
    ),
    "text": PredictorRow(
        _can("language-model"),
        _load_text,
        {"text": "long", "prediction": "string"},
        {"limit": Param(50, 1000)},
    ),
}


def predictor_of(folder: Path) -> PredictorRow | None:
    """How the model of a folder answers; None where it cannot be asked."""
    return next((row for row in PREDICTORS.values() if row.fits(folder)), None)
