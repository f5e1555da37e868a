"""The settings of fine-tuning: task, model, data, knowledge, training."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

from pydantic import Field, model_validator

from kepipe.config import Section, UserSource
from kepipe.finetuning.class_weights import ClassWeights
from kepipe.finetuning.defaults import default_epochs
from kepipe.finetuning.generation_settings import GenerationSettings
from kepipe.finetuning.label_output import SEVERAL_LABELS, LabelOutput
from kepipe.finetuning.lora_settings import LoraSettings
from kepipe.finetuning.output import Calibrates, Decoding
from kepipe.finetuning.slices import SliceName
from kepipe.finetuning.splits import Data
from kepipe.finetuning.table import TASKS, TaskName
from kepipe.finetuning.text_output import TextOutput
from kepipe.knowledge.table import KnowledgeMethods
from kepipe.models.any_base import TrainedBase
from kepipe.training.distillation import Distillation
from kepipe.training.settings import TrainingSettings


class FinetuneConfig(Section):
    """Task, model, data, knowledge and training."""

    renamed: ClassVar[Mapping[str, str]] = {
        "read": "pooling",
        "mark": "entity_markers",
        "inject": "write `knowledge: {method: k-bert}`, with these settings",
    }
    shorthand: ClassVar[Mapping[str, str]] = {"knowledge": "method"}

    task: TaskName
    """The task. `docs/tasks.md` describes the files of each."""
    data: Data | None = None
    """The task's files, if no stage makes them (`inputs: {data: graph-dataset}`)."""
    base: TrainedBase | None = None
    """The model to start from, if it is not the model of a stage (`inputs: {start: pretrain}`)."""
    tokenizer: UserSource | None = None
    """The tokenizer of a newly initialised base: a folder, a vocab.txt, `minilm`. A trained model has its own."""
    train: Literal["all", "head", "lora"] = "all"
    """Which weights are trained. all: the whole model; head: the head alone, over frozen features; lora: the head and
    low-rank updates of the model's weights, which are merged into them at the end."""
    lora: LoraSettings = LoraSettings()
    """Settings of `train: lora`."""
    frozen_layers: int = Field(0, ge=0)
    """Number of layers, counted from the bottom, that are frozen, together with the embeddings; 0: none are."""
    layer_decay: float = Field(1.0, gt=0, le=1)
    """Ratio of a layer's learning rate to that of the layer above; the embeddings have the lowest rate."""
    pooling: Literal["markers", "mean"] = "markers"
    """What the head reads: the task's tokens ([CLS], [HD] and [TL], [ENT], each word), or the mean of the row."""
    standardise: bool | None = None
    """Whether the features that the head reads are standardised over the training rows, with `train: head`. None: they
    are."""
    entity_markers: bool | None = None
    """Whether special tokens are put around the mentions in question; None: if the whole model is trained."""
    mixture: bool | None = None
    """Whether the head reads a learned mixture of all layers, as in ELMo; false: the last layer. None: the model's
    default, which is a mixture for ELMo."""
    length: int = Field(128, ge=8)
    """Maximum row length in tokens, including special tokens and markers, but not injected triples."""
    language: Literal["en", "zh"] = "en"
    """Language of the texts, for finding mentions."""
    overlap: int | None = Field(None, ge=1)
    """Texts longer than `length` are read in windows that share this many tokens, and the answer combines all windows.
    None: they are truncated, except in question-answering and entity-linking, where windows share a third of
    `length`."""
    mentions: Literal["auto", "data", "linker", "names", "none"] = "auto"
    """Source of the entity mentions: the data, the linker of the input `linked`, or the names of the input `graph`;
    auto: the first of these that is available."""
    knowledge: KnowledgeMethods = ()
    """Knowledge from a graph: a method's name, `method:` with settings, or a list of these. Empty: that of the model
    that training starts from."""

    distillation: Distillation | None = None
    """How the teacher of `inputs: {teacher: …}`, or of `from` in this section, is learned from: a model fine-tuned for
    the same task."""
    generation: GenerationSettings = GenerationSettings()
    """Decoding for `task: text-to-text`."""
    label_smoothing: float = Field(0.0, ge=0, lt=1)
    """Share of each true label, or token of a text, that is spread over all labels in training; not for tasks with
    several labels per text."""
    class_weights: ClassWeights = "none"
    """Weights of the labels in the loss. none: equal; balanced: inverse to their frequency in the training data;
    effective: inverse to their effective number of examples, which gives very rare labels less weight."""
    decoding: Decoding = "independent"
    """Decoding for `task: tagging`. independent: the most probable label of each word; valid: the most probable valid
    sequence; crf: a conditional random field with learned transitions."""
    slices: tuple[SliceName, ...] = ()
    """Properties of texts by whose lower and upper half the metrics are also given: `complexity` (length), `ambiguity`
    (of the words' labels in training), `unseen` (share of words that are not in the training data)."""
    calibrate: bool = False
    """Fit the temperature of the probabilities on `dev`; in question-answering, the threshold of having no answer."""

    epochs: int | None = Field(None, ge=1)
    """Maximum number of passes over the training data. None: 3, or as many as make 400 updates, at most 20."""
    patience: int | None = Field(None, ge=1)
    """Number of epochs without a better dev score after which training stops; None: it does not stop early."""
    batch_tokens: int = Field(1024, ge=1)
    """Size of a batch: number of rows × length of the longest."""
    learning_rate: float | None = Field(None, gt=0)
    """Peak learning rate. None: 1e-2 with `train: head` (1e-3 with `standardise: false`), 5e-4 with `train: lora`; with
    `train: all` 5e-5 for a transformer of width 768 and inversely proportional to the width for others, 1e-3 for other
    networks, 1e-2 for word vectors."""
    warmup: float = Field(0.1, ge=0, lt=1)
    """Share of the steps in which the learning rate increases."""
    weight_decay: float = Field(0.01, ge=0)
    """Weight decay of matrices."""
    dropout: float = Field(0.1, ge=0, lt=1)
    """Dropout in training; not applied to frozen features."""
    precision: Literal["auto", "fp32", "tf32", "bf16", "fp16"] = "auto"
    """Number format of matrix products."""

    @model_validator(mode="after")
    def _of_the_task(self) -> FinetuneConfig:
        output = TASKS[self.task].output
        if self.generation != GenerationSettings() and not isinstance(output, TextOutput):
            raise ValueError("`generation` is of `task: text-to-text`: leave it out")
        if self.lora != LoraSettings() and self.train != "lora":
            raise ValueError("`lora` is of `train: lora`: leave it out")
        if self.train != "all" and (self.frozen_layers or self.layer_decay != 1.0):
            raise ValueError("`frozen_layers` and `layer_decay` are of `train: all`: leave them out")
        if self.standardise is not None and self.train != "head":
            raise ValueError("`standardise` is of `train: head`: leave it out")
        if self.label_smoothing and (output == SEVERAL_LABELS or self.decoding == "crf"):
            raise ValueError("`label_smoothing` is of tasks with one label a case: leave it out")
        if self.decoding != "independent" and self.task != "tagging":
            raise ValueError("`decoding` is of `task: tagging`: leave it out")
        if self.class_weights != "none" and (not isinstance(output, LabelOutput) or self.decoding == "crf"):
            raise ValueError(
                "`class_weights` are of tasks whose cases have labels of their own: leave them out"
            )
        if self.calibrate and (not isinstance(output, Calibrates) or self.decoding == "crf"):
            raise ValueError(f"`calibrate`: {self.task} has no probabilities to fit: leave it out")
        if self.knowledge and TASKS[self.task].of_linked:
            raise ValueError(f"`knowledge`: {self.task} finds the entities itself: leave it out")
        if self.mentions != "auto" and TASKS[self.task].of_linked:
            raise ValueError(f"`mentions`: {self.task} finds the mentions itself: leave it out")
        if self.slices and (not isinstance(output, LabelOutput) or self.task == "ranking"):
            raise ValueError(f"`slices`: {self.task} has no labels of single texts: leave it out")
        if self.overlap is not None and not self.windows:
            raise ValueError(f"`overlap`: {self.task} reads what stands around its spans: leave it out")
        return self

    @property
    def windows(self) -> bool:
        """Whether the task's texts can be read in windows."""
        row = TASKS[self.task]
        return row.reads != "spans" and not isinstance(row.output, TextOutput)

    @property
    def shared_tokens(self) -> int | None:
        """Tokens that two windows share; None: texts are cut."""
        if self.overlap is None and TASKS[self.task].in_windows:
            return self.length // 3
        return self.overlap

    @property
    def distillation_settings(self) -> Distillation:
        """The settings of `distillation`, or their defaults."""
        return self.distillation or Distillation()

    @property
    def inserts_markers(self) -> bool:
        """Whether special tokens are put around what is asked about."""
        learned = self.train == "all" and not self.frozen_layers
        return learned if self.entity_markers is None else self.entity_markers

    def training(self, per_epoch: int, default_rate: float) -> TrainingSettings:
        """The settings of the loop: measured and saved after each epoch of `per_epoch` steps, ending with the best."""
        epochs = self.epochs or default_epochs(per_epoch)
        return TrainingSettings(
            steps=epochs * per_epoch,
            eval_every=per_epoch,
            checkpoint_every=per_epoch,
            batch_tokens=self.batch_tokens,
            learning_rate=self.learning_rate or default_rate,
            warmup=self.warmup,
            weight_decay=self.weight_decay,
            betas=(0.9, 0.999),
            precision=self.precision,
            patience=self.patience,
            keep_last=1,
            final="best",
        )
