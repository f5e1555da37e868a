"""Stage `pretrain`: shards + a base → a model trained with an objective."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Self, TypeVar

from pydantic import BeforeValidator, Field, model_validator

from kepipe.config import ConfigConflict, Section
from kepipe.data.formats import FormatName
from kepipe.flow.artifact import Artifact
from kepipe.flow.source_digests import digest_source
from kepipe.flow.stage import Planned, Stage, StageContext
from kepipe.knowledge.base import KnowledgeContext
from kepipe.knowledge.table import METHODS, KnowledgeMethods, inputs_of
from kepipe.models.any_base import AnyBase, token_width
from kepipe.models.base import Base, fingerprint
from kepipe.models.fitted_base import FittedBase
from kepipe.models.networks.config import NetworkBase
from kepipe.models.static.config import StaticConfig
from kepipe.objectives import requirements, table
from kepipe.objectives.mlm import MLM
from kepipe.objectives.requirements import RowSettings
from kepipe.objectives.settings import ObjectiveSettings
from kepipe.stages import distilling, fitting, preview
from kepipe.stages.artifacts import Graph, Model, Shards, Vectors
from kepipe.stages.distilling import PretrainingDistillation
from kepipe.stages.provenance import provenance
from kepipe.training.recipes import RecipeName, settings_of
from kepipe.training.settings import TRAINING_FIGURES, TrainingSettings

SectionT = TypeVar("SectionT", bound=Section)


def _no_method(value: Any) -> Any:
    """Validate that an objective is not the name of a knowledge method."""
    name = value.get("name") if isinstance(value, Mapping) else value
    if isinstance(name, str) and name in METHODS:
        raise ValueError(
            f"{name} is a knowledge method: set `objective: mlm` and `knowledge: {{method: {name}}}`"
        )
    return value


def _as_mapping(objective: Any) -> Any:
    """The settings of an objective that are given, with its name; what is neither settings nor a name, as it is."""
    if isinstance(objective, ObjectiveSettings):
        return {"name": table.name_of(objective), **objective.model_dump(exclude_unset=True)}
    return {"name": objective} if isinstance(objective, str) else objective


def _over(recipe: Mapping[str, Any], given: Any) -> Any:
    """Given settings of an objective over the recipe's, which are those of one objective; `given` if it is another."""
    if not isinstance(given, Mapping) or not recipe or given.get("name", recipe["name"]) != recipe["name"]:
        return given
    return {**recipe, **given}


def _with_defaults(section: SectionT, kept: Collection[str] = ()) -> SectionT:
    """The section with defaults for what is not written, apart from the fields `kept`."""
    fields = type(section).model_fields
    unwritten = fields.keys() - section.model_fields_set - set(kept)
    return section.model_copy(
        update={name: fields[name].get_default(call_default_factory=True) for name in unwritten}
    )


class PretrainConfig(TrainingSettings):
    """Model, objective, knowledge, rows and training."""

    renamed: ClassVar[Mapping[str, str]] = {
        "isolate": "document_mask",
        "inject": "write `knowledge: {method: k-bert}`, with these settings",
    }

    shorthand: ClassVar[Mapping[str, str]] = {"objective": "name", "knowledge": "method"}

    base: AnyBase = Base()
    """The model that training starts from, or a model that is fitted without the training loop and its settings."""
    recipe: RecipeName = "default"
    """Defaults of the training settings for a newly initialised base: kepipe's defaults, settings that learn more in a
    short time, or those of the model family's publication. A trained base always has the defaults."""
    objective: Annotated[table.AnyObjective, BeforeValidator(_no_method)] = MLM()
    """The training objective: a name, or `name:` with settings."""
    knowledge: KnowledgeMethods = ()
    """Knowledge from a graph: a method's name, `method:` with settings, or a list of these. Empty: that of the model
    that training starts from."""
    distillation: PretrainingDistillation | None = None
    """How the teacher of `inputs: {teacher: …}`, or of `from` in this section, is learned from."""
    format: FormatName = "doc-sentences"
    """Format of a row (Liu et al. 2019, §4.2). packed: exactly `length` tokens; doc-packed: the same, within one
    document; dialogue: three turns. Objectives that predict labels (sentence-distance, …) make their own rows."""
    length: int = Field(128, ge=8)
    """Maximum row length in tokens, with special tokens; for span-corruption that of the corrupted source."""
    document_mask: bool = False
    """Mask attention between documents in the same row."""
    streams: bool = False
    """Consecutive batches: each row continues the same row of the previous batch, and recurrent states and memories are
    carried over. Otherwise rows are shuffled."""

    @model_validator(mode="wrap")
    @classmethod
    def _follow_recipe(cls, values: Any, validate: Callable[[Any], Self]) -> Self:
        """Fill in what the recipe sets. These fields stay out of `model_fields_set`, so that `without_recipe` can undo
        them. With another optimizer than the recipe's, its learning rate is dropped, with another objective what it
        sets there."""
        if not isinstance(values, Mapping):
            return validate(values)
        base = values.get("base", {})
        if isinstance(base, Base | NetworkBase):
            base = {"family": base.family, **base.model_dump(by_alias=True, exclude_unset=True)}
        if not isinstance(base, Mapping) or base.get("from") is not None:
            return validate(values)
        settings = settings_of(values.get("recipe", "default"), base.get("family", "bert"))
        if settings.get("optimizer") != values.get("optimizer", settings.get("optimizer")):
            settings = {name: value for name, value in settings.items() if name != "learning_rate"}
        of_base = {**settings.get("base", {}), **base}
        given = _as_mapping(values.get("objective", {}))
        objective = _over(settings.get("objective", {}), given)
        nested = {name: value for name, value in (("base", of_base), ("objective", objective)) if value}
        config = validate({**settings, **values, **nested})
        config.model_fields_set.difference_update(settings.keys() - values.keys())
        if objective is not given:
            config.objective.model_fields_set.difference_update(objective.keys() - given.keys())
        return config

    def without_recipe(self) -> Self:
        """The settings with kepipe's defaults in place of the recipe's, which is for newly initialised models."""
        objective = self.objective if "objective" in self.model_fields_set else MLM()
        plain = _with_defaults(self, kept=("base", "objective"))
        return plain.model_copy(update={"objective": _with_defaults(objective)})

    @property
    def distillation_settings(self) -> PretrainingDistillation:
        """The settings of `distillation`, or their defaults."""
        return self.distillation or PretrainingDistillation()

    @property
    def rows(self) -> RowSettings:
        """The settings of the rows."""
        return RowSettings(
            self.format, self.length, self.document_mask, self.streams, ramp=self.batch_ramp > 0
        )


@dataclass(frozen=True)
class PretrainInputs:
    """`shards`: the text. `start`: an earlier stage's model to start from, in place of `base`. `vectors`, `graph`:
    sources of knowledge. `neighbours`: a graph from which vectors of entities without one are composed. `embeddings`:
    an earlier stage's word vectors that initialise the token embeddings. `teacher`: an earlier stage's model whose
    probabilities are learned."""

    shards: Shards
    start: Model | None = None
    vectors: Vectors | None = None
    graph: Graph | None = None
    neighbours: Graph | None = None
    embeddings: Model | None = None
    teacher: Model | None = None


def pretrain(inputs: PretrainInputs, config: PretrainConfig, context: StageContext) -> None:
    """Train and write a model folder. Raises ValueError if base, tokenizer, objective and format are incompatible.

    The seed determines the initial weights and the order of the text, independently of the objective, so that arms
    differ in nothing else.
    """
    if isinstance(config.base, FittedBase):
        fitting.fit(config.base, inputs.shards, provenance("pretrain", inputs, config, context), context)
        return
    if config.processes == 1:
        fit(inputs, config, context)
        return
    from kepipe.training import launch

    launch.run(fit, inputs, config, context, config.processes)


def fit(inputs: PretrainInputs, config: PretrainConfig, context: StageContext) -> None:
    """Run the stage in one process; of several processes, the first writes the model folder."""
    from kepipe.flow.artifact import link_folder
    from kepipe.knowledge import opening
    from kepipe.linking import LINKER
    from kepipe.models import folder
    from kepipe.stages.pretraining import Pretraining
    from kepipe.training.launch import is_main_process
    from kepipe.training.loop import train

    run = Pretraining.prepare(inputs, config, context)
    state = train(run.model, run.batches, run.objective.criterion, config, context, run.evaluator)
    if not is_main_process():
        return
    epochs = state.micro_batches / run.rows.per_epoch
    context.log({"epochs": epochs, "parameters": sum(p.numel() for p in run.model.parameters())})
    if run.evaluator is not None:
        context.log({"final_held_out_loss": state.latest, "best_held_out_loss": state.best})
        if metrics := run.held_out_metrics():
            context.log(metrics)
    made_by = provenance("pretrain", inputs, config, context, state)
    made_by["prompt_style"] = table.row_of(config.objective).prompt_style
    folder.save(context.out, run.model, tokenizer=inputs.shards.folder / "tokenizer", provenance=made_by)
    opening.save(run.knowledge, context.out, run.model, for_all_uses=False)
    if opening.read_settings(context.out, predicting=True):  # it needs the entities of new texts too
        link_folder(inputs.shards.folder / LINKER, context.out / LINKER)


def _figures(_: Planned) -> tuple[str, ...]:
    """Logged losses and accuracies, on training and held-out text, during and at the end of training."""
    return (
        "final_held_out_loss", "best_held_out_loss", "held_out_loss", "held_out_*", "final_held_out_*", "*accuracy",
        *TRAINING_FIGURES, "mentions_*", "epochs", "parameters",
    )  # fmt: skip


def conflicts(stage: Planned) -> Iterator[ConfigConflict]:
    """Incompatible settings of base, objective, knowledge, rows and tokenizer."""
    config: PretrainConfig = stage.config
    if isinstance(config.base, FittedBase):
        yield from fitting.conflicts(stage)
        return
    yield from _embeddings_conflicts(stage)
    yield from distilling.pretraining_conflicts(stage)
    try:
        model = preview.starting_model(stage)
    except ConfigConflict as conflict:
        model = None
        yield conflict
    name = preview.display_name(stage)
    for setting in ("gradient_checkpointing", "flex_attention"):
        if getattr(config, setting) is True and isinstance(config.base, NetworkBase):
            yield ConfigConflict(setting, f"not implemented for {config.base.family}: remove it")
    if getattr(config.base, "memory", 0) and not config.streams:
        reason = "the memory is carried from batch to batch: set `streams: true`, or remove it"
        yield ConfigConflict("base.memory", reason)
    if config.objective.needs_dropout() and not getattr(config.base, "dropout", 0.0):
        reason = f"{table.name_of(config.objective)} learns from dropout alone: set `dropout: 0.1`"
        yield ConfigConflict("base.dropout", reason)
    if model is not None and not preview.is_trainable(model):
        key = "base" if stage.input("start") is None else "inputs.start"
        yield ConfigConflict(key, f"no objective can train {name}")
        return
    context = KnowledgeContext(model, config.length, config.objective)
    yield from preview.knowledge_conflicts(stage, context)
    if model is not None:
        yield from requirements.conflicts(config.objective, model, name, config.rows)
    yield from preview.incompatibilities(stage, config.objective, model)


def _embeddings_conflicts(stage: Planned) -> Iterator[ConfigConflict]:
    """Initial embeddings that are not word vectors, have another width than the model, or cannot be used by it."""
    before, base = stage.input("embeddings"), stage.config.base
    if before is None:
        return
    if not hasattr(base, "embeddings"):
        reason = f"{base.family} has no token embeddings to initialise: remove it"
        yield ConfigConflict("inputs.embeddings", reason)
        return
    given = [name for name, value in (("from", base.trained), ("embeddings", base.embeddings)) if value]
    if given or stage.input("start") is not None:
        what = f"base.{given[0]}" if given else "inputs.start"
        yield ConfigConflict(
            "inputs.embeddings", f"{what} gives the token embeddings too: remove one of them"
        )
        return
    vectors = preview.model_of(before)
    setting, width = token_width(base)
    if vectors is not None and not isinstance(vectors, StaticConfig):
        known = "word2vec, fasttext or glove"
        yield ConfigConflict("inputs.embeddings", f"`{before.name}` does not make word vectors ({known})")
    elif vectors is not None and vectors.hidden != width:
        wide = vectors.hidden
        yield ConfigConflict(
            f"base.{setting}", f"`{before.name}` is {wide} wide, the model {width}: set `{setting}: {wide}`"
        )


def _infer_defaults(
    config: PretrainConfig, inputs: Collection[str], _takers: Sequence[Section]
) -> PretrainConfig:
    return config.without_recipe() if "start" in inputs else config


def _needs(config: PretrainConfig, _given: Mapping[str, type[Artifact]]) -> tuple[str, ...]:
    teacher_methods = () if config.distillation is None else config.distillation.knowledge
    return inputs_of((*config.knowledge, *teacher_methods))


def _fingerprint(config: PretrainConfig) -> Mapping[str, str]:
    files = config.objective.files()
    digests = {f"objective/{number}": digest_source(file) for number, file in enumerate(files)}
    digests |= distilling.fingerprint(config.distillation)
    return {**fingerprint(config.base), **digests} if isinstance(config.base, Base | NetworkBase) else {}


PRETRAIN = Stage(
    "pretrain",
    12,
    PretrainInputs,
    PretrainConfig,
    Model,
    pretrain,
    _fingerprint,
    conflicts,
    _needs,
    figures=_figures,
    infer_defaults=_infer_defaults,
)
