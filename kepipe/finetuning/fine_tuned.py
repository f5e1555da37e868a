"""A fine-tuned model and its folder: a model folder with `task.json` and `head.safetensors` beside it.

Where the model uses knowledge, the folder also has what it takes to use it alone: `vectors.safetensors` of the
entities it fuses, `graph/` of the triples it injects, `linker/`.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from kepipe.finetuning import heads
from kepipe.finetuning.collator import Collator
from kepipe.finetuning.encoding import RowFormat
from kepipe.finetuning.mention_finders import Language, Source
from kepipe.finetuning.table import TASKS, Task, TaskName
from kepipe.flow.artifact import MANIFEST, RECORD
from kepipe.models.entities import EntityVectors, has_vectors
from kepipe.models.files import share, write_json, write_tensors
from kepipe.tokenization.tokenizer import Tokenizer, load_tokenizer

if TYPE_CHECKING:
    from kepipe.knowledge.kbert.injector import Injector
    from kepipe.models.config import TransformerConfig
    from kepipe.models.transformer import Transformer
    from kg.store import Graph

ABOUT, HEAD, GRAPH, LINKER = "task.json", "head.safetensors", "graph", "linker"
FORMAT = 1
Unknown = Literal["ignore", "compose"]
"""What becomes of entities without a vector."""
BEGINS = ("bert", "roberta", "bart")
"""Families whose rows begin with [CLS]."""


@dataclass(frozen=True)
class TaskSpec:
    """What a fine-tuned model is for, as in `task.json`: enough to lay out a new text as the training's were.

    `marks`: name → id. `mean`: whether the head reads the row's mean. `mentions`: where entities came from.
    `inject`: the settings of injection, or None.
    """

    task: TaskName
    labels: tuple[str, ...]
    length: int
    marks: dict[str, int] = field(default_factory=dict)
    mean: bool = False
    language: Language = "en"
    mentions: Source = "none"
    inject: dict[str, Any] | None = None

    @property
    def row(self) -> Task:
        """The task's row in the table."""
        return TASKS[self.task]


@dataclass(frozen=True)
class FineTunedModel:
    """A model with its head attached, its tokenizer, and what it is for."""

    spec: TaskSpec
    model: Transformer
    tokenizer: Tokenizer
    vectors: EntityVectors | None = None
    injector: Injector | None = None

    @property
    def row_format(self) -> RowFormat:
        """How its rows look."""
        config = self.model.config
        return RowFormat(
            self.tokenizer,
            self.spec.length,
            self.spec.row.reads,
            tuple(self.spec.marks.values()),
            begin=config.family in BEGINS,
            causal=config.causal,
            segments=config.segments,
        )

    @property
    def collator(self) -> Collator:
        """How its rows become a batch."""
        return Collator(
            self.tokenizer.pad,
            self.spec.row.kind,
            len(self.spec.labels),
            per_word=self.spec.row.reads == "words",
            causal=self.model.config.causal,
            vectors=self.vectors,
            injector=self.injector,
        )


def new_head(spec: TaskSpec, config: TransformerConfig, dropout: float = 0.0) -> heads.TaskHead:
    """A head of the task's sizes, without values worth keeping."""
    spans = max(1, len(spec.row.marks))
    return heads.TaskHead(config.hidden, spans, len(spec.labels), mean=spec.mean, dropout=dropout)


def save(folder: Path, tuned: FineTunedModel, provenance: dict[str, Any]) -> None:
    """Write the folder; the head is taken off the model. Equal weights give equal bytes."""
    from kepipe.models import folder as models

    write_tensors(folder / HEAD, heads.detach(tuned.model))
    fused = tuned.vectors if tuned.model.config.fusion is not None else None
    models.save(folder, tuned.model, provenance=provenance, entities=fused)
    tuned.tokenizer.save(folder)
    write_json(folder / ABOUT, {"format": FORMAT, **asdict(tuned.spec)})


def carry(source: Path, target: Path) -> None:
    """Have a folder's files at another place too: linked where the file system can, else copied."""
    for file in sorted(source.rglob("*")):
        inside = file.relative_to(source)
        if file.is_file() and inside.parts[0] not in (MANIFEST, RECORD):
            share(file, target / inside)


def placed_marks(folder: Path) -> dict[str, int]:
    """Mark → id of a folder's model; none where it was not fine-tuned."""
    return read_about(folder).marks if (folder / ABOUT).is_file() else {}


def read_about(folder: Path) -> TaskSpec:
    """What a folder's model is for. Raises ValueError where it was not fine-tuned."""
    file = folder / ABOUT
    if not file.is_file():
        raise ValueError(
            f"{folder}: not fine-tuned for a task ({ABOUT} is missing); a stage `finetune` makes such"
        )
    told = json.loads(file.read_text(encoding="utf-8"))
    if told.pop("format", None) != FORMAT:
        raise ValueError(f"{file}: of another version of kepipe; fine-tune again")
    return TaskSpec(**{**told, "labels": tuple(told["labels"])})


def load(
    folder: Path, *, graph: Path | None = None, unknown: Unknown = "ignore", device: str = "cpu"
) -> FineTunedModel:
    """Open what `save` wrote. `graph`: a stored graph whose triples are injected instead of the folder's own.

    `unknown`: what becomes of entities of the graph that have no vector: they are ignored, or get one that is composed
    from their neighbours. Raises ValueError where that cannot be done.
    """
    from safetensors.torch import load_file

    from kepipe.knowledge.kbert.opening import open_injector
    from kepipe.knowledge.kbert.settings import Inject
    from kepipe.models import folder as models

    spec, tokenizer = read_about(folder), load_tokenizer(folder)
    model = models.load(folder)
    head = heads.restore(new_head(spec, model.config), load_file(folder / HEAD))
    heads.attach(model, head)
    fuses = model.config.fusion is not None and has_vectors(folder)
    neighbours = _neighbours(folder, graph, fuses) if unknown == "compose" else None
    vectors = EntityVectors.open(folder, neighbours) if fuses else None
    injector = None
    if spec.inject is not None:
        settings = Inject.model_validate(spec.inject)
        injector = open_injector(graph or folder / GRAPH, tokenizer, settings, model.config, folder)
    elif graph is not None and vectors is None:
        raise ValueError(f"{folder}: this model uses no knowledge: leave the graph out")
    return FineTunedModel(spec, model.to(device).eval(), tokenizer, vectors, injector)


def _neighbours(folder: Path, graph: Path | None, fuses: bool) -> Graph:
    """The graph from which vectors are composed: that given, else the folder's own."""
    from kg.store import open_graph

    if not fuses:
        raise ValueError(f"{folder}: this model fuses no entity vectors: there are none to compose")
    if graph is None and not (folder / GRAPH).exists():
        raise ValueError(
            f"{folder}: to compose vectors takes a graph that knows the entities: give it (--graph)"
        )
    return open_graph(folder / GRAPH if graph is None else graph)
