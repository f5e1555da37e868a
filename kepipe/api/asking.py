"""Open the model that `kepipe predict` asks: one that is fine-tuned, or one that fills masks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from kepipe.api.knowledge import read_added, read_knowledge
from kepipe.api.predicting import Answering

if TYPE_CHECKING:
    from kepipe.tracking.mask_predictor import MaskPredictor

Record = dict[str, Any]


class Sources(NamedTuple):
    """What a model is to use instead of what its folder brings, as the options of `kepipe predict`; `graph`: stored."""

    graph: Path | None = None
    vectors: Path | None = None
    linker: Path | None = None
    unknown: Literal["ignore", "compose"] = "ignore"


@dataclass(frozen=True)
class Asked:
    """A model to ask, `what` it does, and how its records are shown."""

    model: Answering
    what: str
    as_line: Callable[[Record], str]
    as_conll: Callable[[Record], str] | None = None


@dataclass(frozen=True)
class FillsMasks:
    """A masked language model; its records are those of `MaskPredictor.records`."""

    predictor: MaskPredictor

    @property
    def takes_entities(self) -> bool:
        """Whether it uses the entities that a text names."""
        return self.predictor.takes_entities

    def predict(self, texts: Sequence[str]) -> list[Record]:
        """A record of each text. Raises ValueError for a text without a mask."""
        return self.predictor.records(texts)


def open_masks(folder: Path, knowledge: str | None, sources: Sources) -> Asked | None:
    """The model of a folder if it fills masks and is not fine-tuned. Raises ValueError for what it does not use."""
    from kepipe.finetuning.fine_tuned import SPEC
    from kepipe.inference.opening import read_config

    if (folder / SPEC).is_file() or not (folder / "config.json").is_file():
        return None
    if "masked-lm" not in read_config(folder).capabilities:
        return None
    from kepipe.tracking.mask_predictor import MaskPredictor

    if sources.unknown != "ignore":
        raise ValueError(f"{folder}: --unknown is of fine-tuned models: leave it out")
    added = read_added(knowledge, sources.graph, sources.vectors, sources.linker)
    return Asked(
        FillsMasks(MaskPredictor.load(folder, added, sources.linker)), "a model that fills masks", _as_line
    )


def open_task(folder: Path, knowledge: str | None, sources: Sources) -> Asked:
    """The fine-tuned model of a folder. Raises ValueError for a folder without one, and for what it does not use."""
    from kepipe.device import resolve
    from kepipe.finetuning.predictor import Predictor

    predictor = Predictor.open(
        folder,
        methods=read_knowledge(knowledge),
        graph=sources.graph,
        vectors=sources.vectors,
        linker=sources.linker,
        unknown=sources.unknown,
        device=resolve("auto"),
    )
    spec = predictor.fine_tuned.spec
    return Asked(predictor, spec.task, spec.row.as_line, spec.row.as_conll)


def _as_line(record: Record) -> str:
    return " | ".join(
        ", ".join(f"{filling['token']} {filling['probability']:.2f}" for filling in fillings)
        for fillings in record["masks"]
    )
