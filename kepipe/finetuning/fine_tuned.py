"""A fine-tuned model and its folder: a model folder that also has `task.json` and `head.safetensors`.

If the model uses knowledge, the folder is self-contained: it also has `knowledge.json`, the entity vectors that the
model fuses, `graph/` with the triples that it injects, and `linker/`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from kepipe.finetuning.collator import TaskCollator
from kepipe.finetuning.encoding import RowFormat, TruncationStats, encode_rows
from kepipe.finetuning.examples import Example
from kepipe.finetuning.generation_settings import GenerationSettings
from kepipe.finetuning.mention_finders import Language, Source
from kepipe.finetuning.output import AnswerFormat, Decoding
from kepipe.finetuning.resources import Resource
from kepipe.finetuning.rows import Row
from kepipe.finetuning.table import TASKS, TaskName
from kepipe.finetuning.task import Task
from kepipe.finetuning.task_model import TaskModel
from kepipe.models.config import TransformerConfig
from kepipe.models.files import read_tensors, write_json, write_tensors
from kepipe.models.own_tokenizer import load_own_tokenizer
from kepipe.tokenization.tokenizer import Tokenizer
from kg.regular_files import read_json

if TYPE_CHECKING:
    from torch import Tensor

    from kepipe.knowledge.base import Knowledge, KnowledgeSettings
    from kepipe.models.protocols import EncoderConfig, TrainableEncoder

SPEC, HEAD = "task.json", "head.safetensors"
FORMAT = 2
Unknown = Literal["ignore", "compose"]
"""How entities without a vector are treated."""


@dataclass(frozen=True)
class TaskSpec:
    """The task of a fine-tuned model, as in `task.json`: everything needed to encode new texts like the training data.

    `labels`: the label set. `markers`: name → token id. `mean`: whether the head reads the mean of the row.
    `mentions`: the source of entity mentions. `overlap`: tokens shared by consecutive windows of a long text; None: it
    is truncated. `decoding`: how labels of words are chosen. `mixture`: whether the head reads a mixture of the hidden
    states of all layers.
    """

    task: TaskName
    labels: tuple[str, ...]
    length: int
    markers: dict[str, int] = field(default_factory=dict)
    mean: bool = False
    language: Language = "en"
    mentions: Source = "none"
    generation: GenerationSettings | None = None
    """Of a task whose answers are generated text."""
    overlap: int | None = None
    decoding: Decoding = "independent"
    mixture: bool = False

    @property
    def row(self) -> Task:
        """The task's row in the table."""
        return TASKS[self.task]


@dataclass(frozen=True)
class FineTunedModel:
    """A model with its head, tokenizer, task, knowledge, and the task's resource."""

    spec: TaskSpec
    model: TaskModel[TrainableEncoder]
    tokenizer: Tokenizer
    knowledge: Knowledge | None = None
    resource: Resource | None = None

    @property
    def config(self) -> EncoderConfig:
        """The encoder's config."""
        return self.model.encoder.config

    @property
    def row_format(self) -> RowFormat:
        """The input format of the model."""
        return RowFormat(
            self.tokenizer,
            self.spec.length,
            self.spec.row.reads,
            tuple(self.spec.markers.values()),
            begin=self.config.begins_with_cls,
            causal=self.config.causal,
            segments=self.config.segments,
            overlap=self.spec.overlap,
        )

    @property
    def collator(self) -> TaskCollator:
        """The collator of its rows."""
        return TaskCollator(
            self.spec.row.output,
            answer_format(self.spec, self.tokenizer, self.config, self.resource),
            causal=self.config.causal,
            knowledge=self.knowledge,
        )

    def rows(self, examples: Sequence[Example], stats: TruncationStats | None = None) -> list[Row]:
        """The rows of examples without labels, see `encode_rows`."""
        rows = encode_rows(examples, self.row_format, stats)
        return rows if self.resource is None else self.resource.annotate(rows, examples)


def answer_format(
    spec: TaskSpec, tokenizer: Tokenizer, config: EncoderConfig, resource: Resource | None = None
) -> AnswerFormat:
    """The answer format of a model with this config."""
    tokens_per_case = max(1, len(spec.row.markers))
    start = tokenizer.sep if config.start is None else config.start
    return AnswerFormat(
        tokenizer,
        spec.labels,
        start,
        spec.row.reads,
        tokens_per_case,
        spec.mean,
        config.causal,
        spec.generation,
        spec.decoding,
        resource,
        config.stacks if isinstance(config, TransformerConfig) else None,
        config.segments,
    )


def with_head(
    encoder: TrainableEncoder,
    spec: TaskSpec,
    tokenizer: Tokenizer,
    resource: Resource | None = None,
    *,
    dropout: float = 0.0,
    seed: int = 0,
) -> TaskModel[TrainableEncoder]:
    """The model with a new head. Raises ValueError if the model cannot perform the task."""
    answers = answer_format(spec, tokenizer, encoder.config, resource)
    head = spec.row.output.head(encoder, answers, dropout=dropout, seed=seed)
    if not spec.mixture:
        return TaskModel(encoder, head)
    from kepipe.models.elmo.scalar_mix import ScalarMix
    from kepipe.models.protocols import LayerStates

    if not isinstance(encoder, LayerStates):
        raise ValueError(
            "`mixture`: this model does not return the hidden states of its layers: leave it out"
        )
    return TaskModel(encoder, head, ScalarMix(encoder.num_states))


def save(folder: Path, fine_tuned: FineTunedModel, provenance: dict[str, Any]) -> None:
    """Write the folder. Equal weights give equal bytes."""
    from kepipe.knowledge import opening
    from kepipe.models import folder as models

    model = fine_tuned.model
    write_tensors(folder / HEAD, model.own_parameters())
    models.save(folder, model.encoder, provenance=provenance)
    opening.save(fine_tuned.knowledge, folder, model.encoder, for_all_uses=True)
    fine_tuned.tokenizer.save(folder)
    if fine_tuned.resource is not None:
        fine_tuned.resource.save(folder)
    settings = fine_tuned.spec.generation
    values = asdict(replace(fine_tuned.spec, generation=None))
    del values["generation"]
    if settings is not None:
        values["generation"] = settings.model_dump()
    write_json(folder / SPEC, {"format": FORMAT, **values})


def placed_markers(folder: Path) -> dict[str, int]:
    """Marker → token id of a folder's model; {} if it was not fine-tuned."""
    return read_spec(folder).markers if (folder / SPEC).is_file() else {}


def read_spec(folder: Path) -> TaskSpec:
    """The task of a folder's model. Raises ValueError if it was not fine-tuned."""
    file = folder / SPEC
    if not file.is_file():
        raise ValueError(
            f"{folder}: not fine-tuned for a task ({SPEC} is missing); fine-tune it with a stage `finetune`"
        )
    values = read_json(file)
    if values.pop("format", None) != FORMAT:
        raise ValueError(f"{file}: written by another version of kepipe; fine-tune again")
    if values["task"] not in TASKS:
        raise ValueError(f"{file}: unknown task {values['task']!r}; known: {', '.join(TASKS)}")
    settings = values.pop("generation", None)
    spec = TaskSpec(**{**values, "labels": tuple(values["labels"])})
    if settings is None:
        return spec
    return replace(spec, generation=GenerationSettings.model_validate(settings))


def load(
    folder: Path,
    *,
    methods: Sequence[KnowledgeSettings] = (),
    graph: Path | None = None,
    vectors: Path | None = None,
    unknown: Unknown = "ignore",
    device: str = "cpu",
    note: Callable[[str], None] = lambda _: None,
) -> FineTunedModel:
    """Open what `save` wrote. `methods`: knowledge methods that replace those of the folder with the same name, or are
    added to them.
    `graph`, `vectors`: a stored graph and a folder of entity vectors that methods read instead of the folder's own.

    `unknown`: whether entities of the graph without a vector are ignored or get one composed from their neighbours.
    Raises ValueError if these do not fit the model.
    """
    from kepipe.inference.opening import load_encoder
    from kepipe.knowledge.base import Sources
    from kepipe.knowledge.opening import check_sources, open_own
    from kepipe.knowledge.table import unlearned

    spec, encoder = read_spec(folder), load_encoder(folder)
    tokenizer = load_own_tokenizer(folder, encoder.config)
    kind = spec.row.resource
    resource = None if kind is None else kind.open(folder, spec.language)
    model = with_head(encoder, spec, tokenizer, resource)
    _load_own(model, read_tensors(folder / HEAD))
    neighbours = _neighbours(folder, encoder.config, graph) if unknown == "compose" else None
    sources = Sources(tokenizer, encoder.config, graph=graph, vectors=vectors, neighbours=neighbours)
    for conflict in unlearned(methods, encoder.config, str(folder)):
        raise conflict
    check_sources(folder, methods, graph=graph, vectors=vectors)
    knowledge = open_own(folder, sources, note, methods)
    given = " and ".join(name for name, path in (("graph", graph), ("vectors", vectors)) if path is not None)
    if given and knowledge is None:
        raise ValueError(
            f"{folder}: this model uses no knowledge: leave the {given} out, or say how it is used (--knowledge)"
        )
    return FineTunedModel(spec, model.to(device).eval(), tokenizer, knowledge, resource)


def _load_own(model: TaskModel[TrainableEncoder], saved: Mapping[str, Tensor]) -> None:
    import torch

    own = model.own_parameters()
    if own.keys() != saved.keys():
        raise ValueError(f"{HEAD}: expected {', '.join(own)}; found {', '.join(saved)}")
    with torch.no_grad():
        for name, weight in own.items():
            weight.copy_(saved[name])


def _neighbours(folder: Path, config: EncoderConfig, graph: Path | None) -> Path:
    """The graph from which vectors are composed: `graph` if given, else the folder's own."""
    from kepipe.knowledge.opening import carried
    from kepipe.knowledge.table import brought_by

    if "vectors" not in brought_by(config):
        raise ValueError(f"{folder}: this model has no entity vectors to compose others from")
    neighbours = graph or carried(folder).get("graph")
    if neighbours is None:
        raise ValueError(f"{folder}: composing vectors needs a graph that has the entities (--graph)")
    return neighbours
