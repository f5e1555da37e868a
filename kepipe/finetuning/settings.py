"""The settings of fine-tuning: which task, from which model, on what data, with what knowledge, how long."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from kepipe.config import Section, UserSource
from kepipe.finetuning.class_weights import ClassWeights
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

RATES = {"head": 1e-3, "lora": 5e-4}
"""Learning rates of what has to come from nothing: a head alone, or low-rank matrices."""


class FinetuneConfig(Section):
    """Which task, on what data, how long."""

    renamed: ClassVar[Mapping[str, str]] = {
        "read": "pooling",
        "mark": "entity_markers",
        "inject": "write `knowledge: {method: k-bert}`, with these settings",
    }
    shorthand: ClassVar[Mapping[str, str]] = {"knowledge": "method"}

    task: TaskName
    """What is asked. `docs/tasks.md` tells of each task's files."""
    data: Data | None = None
    """The task's files, where no stage makes them (`inputs: {data: graph-dataset}`)."""
    base: TrainedBase | None = None
    """The model to start from, where no stage's (`inputs: {start: pretrain}`)."""
    tokenizer: UserSource | None = None
    """The tokenizer of a fresh base: a folder, a vocab.txt, `minilm`. A trained model has its own."""
    train: Literal["all", "head", "lora"] = "all"
    """What learns: the whole model; the head alone over frozen features; or the head and low-rank matrices beside the
    model's weights, into which they are merged at the end."""
    lora: LoraSettings = LoraSettings()
    """Of `train: lora`."""
    frozen_layers: int = Field(0, ge=0)
    """The embeddings, and so many layers from the bottom, stay as they are; 0: all learns."""
    layer_decay: float = Field(1.0, gt=0, le=1)
    """A layer's learning rate is that of the layer above times this; embeddings learn most slowly."""
    pooling: Literal["markers", "mean"] = "markers"
    """What the head reads: the task's tokens ([CLS], [HD] and [TL], [ENT], each word), or the mean of the row."""
    entity_markers: bool | None = None
    """Put special tokens around the mentions asked about; none: where the whole model learns what they mean."""
    mixture: bool | None = None
    """Whether the head reads a mixture of all layers that the task learns (ELMo's way); false: the last layer alone.
    None: as the model does, of which ELMo mixes."""
    length: int = Field(128, ge=8)
    """Longest row in tokens, special tokens and markers included; triples that are injected come on top."""
    language: Literal["en", "zh"] = "en"
    """The texts' language, by which mentions are found."""
    overlap: int | None = Field(None, ge=1)
    """Read a text that is longer than `length` in windows that share so many tokens, and answer from all of them; none:
    cut it, but in question-answering a third of `length` is shared."""
    mentions: Literal["auto", "data", "linker", "names", "none"] = "auto"
    """Where the entities of a text come from: the data, the linker of the input `linked`, the names of the input
    `graph`; auto: the first of these that there is."""
    knowledge: KnowledgeMethods = ()
    """What a graph gives the model, and how: a method's name, or `method:` with settings. None: what the model that
    training starts from brings."""

    distillation: Distillation | None = None
    """How the teacher of `inputs: {teacher: …}`, or of `from` in this section, is learned from: a model fine-tuned for
    the same task."""
    generation: GenerationSettings = GenerationSettings()
    """Of `task: text-to-text`: how answers are searched for."""
    label_smoothing: float = Field(0.0, ge=0, lt=1)
    """In training, this share of each true label, or token of a text, goes to all alike; not of tasks with several
    labels at once."""
    class_weights: ClassWeights = "none"
    """What labels count in the loss: all alike; balanced: rare ones more, by how often they stand in the training data;
    effective: by the effective number of their examples, which weighs very rare ones less."""
    decoding: Decoding = "independent"
    """Of `task: tagging`: each word's label by itself; valid: the likeliest labels that spell spans; crf: a layer
    learns which label follows which."""
    slices: tuple[SliceName, ...] = ()
    """Measure the easier and the harder half of the test, too, by these properties of its texts: `complexity` (length),
    `ambiguity` (of the words' labels in training), `unseen` (share of words that training never saw)."""
    calibrate: bool = False
    """Fit the temperature of the probabilities, or in question-answering what no answer has to be worth, on `dev`."""

    epochs: int = Field(3, ge=1)
    """Passes over the training data, at most."""
    patience: int | None = Field(None, ge=1)
    """Epochs without a better dev score after which training stops; none: all epochs."""
    batch_tokens: int = Field(2048, ge=1)
    """Tokens of a batch: rows × the longest of them."""
    learning_rate: float = Field(5e-5, gt=0)
    """The highest rate; by default 1e-3 where the head alone learns, and 5e-4 with `train: lora`."""
    warmup: float = Field(0.1, ge=0, lt=1)
    """Share of the steps in which the rate rises."""
    weight_decay: float = Field(0.01, ge=0)
    """Decay of the matrices."""
    dropout: float = Field(0.1, ge=0, lt=1)
    """Dropout in training; frozen features have none."""
    precision: Literal["auto", "fp32", "tf32", "bf16", "fp16"] = "auto"
    """Number format of matrix products."""

    @model_validator(mode="before")
    @classmethod
    def _rate(cls, values: Any) -> Any:
        if isinstance(values, dict) and values.get("train") in RATES:
            return {"learning_rate": RATES[values["train"]], **values}
        return values

    @model_validator(mode="after")
    def _of_the_task(self) -> FinetuneConfig:
        output = TASKS[self.task].output
        if self.generation != GenerationSettings() and not isinstance(output, TextOutput):
            raise ValueError("`generation` is of `task: text-to-text`: leave it out")
        if self.lora != LoraSettings() and self.train != "lora":
            raise ValueError("`lora` is of `train: lora`: leave it out")
        if self.train != "all" and (self.frozen_layers or self.layer_decay != 1.0):
            raise ValueError("`frozen_layers` and `layer_decay` are of `train: all`: leave them out")
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
        if self.overlap is None and TASKS[self.task].reads == "second":
            return self.length // 3
        return self.overlap

    @property
    def inserts_markers(self) -> bool:
        """Whether special tokens are put around what is asked about."""
        learned = self.train == "all" and not self.frozen_layers
        return learned if self.entity_markers is None else self.entity_markers

    def training(self, per_epoch: int) -> TrainingSettings:
        """The settings of the loop: measured and saved after each epoch of `per_epoch` steps, ending with the best."""
        return TrainingSettings(
            steps=self.epochs * per_epoch,
            eval_every=per_epoch,
            checkpoint_every=per_epoch,
            batch_tokens=self.batch_tokens,
            learning_rate=self.learning_rate,
            warmup=self.warmup,
            weight_decay=self.weight_decay,
            betas=(0.9, 0.999),
            precision=self.precision,
            patience=self.patience,
            keep_last=1,
            final="best",
        )
