"""Stage `pretrain`: shards + a base → a model trained to an objective. A control arm changes only what is learned."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from pydantic import BeforeValidator, Field, model_validator

from kepipe.config import ConfigConflict
from kepipe.data.formats import FormatName
from kepipe.flow.stage import Planned, Stage, StageContext
from kepipe.knowledge.base import KnowledgeContext
from kepipe.knowledge.table import METHODS, KnowledgeMethods, inputs_of
from kepipe.models.base import Base, fingerprint
from kepipe.models.config import TransformerConfig
from kepipe.objectives import requirements, table
from kepipe.objectives.mlm import MLM
from kepipe.objectives.requirements import RowSettings
from kepipe.stages import preview
from kepipe.stages.artifacts import Graph, Model, Shards, Vectors
from kepipe.stages.provenance import provenance
from kepipe.training.recipes import RecipeName, settings_of
from kepipe.training.settings import TrainingSettings


def _no_method(value: Any) -> Any:
    """The objective as it is written; the name of a knowledge method, which is none, is told apart."""
    name = value.get("name") if isinstance(value, Mapping) else value
    if isinstance(name, str) and name in METHODS:
        raise ValueError(
            f"{name} is a knowledge method: set `objective: mlm` and `knowledge: {{method: {name}}}`"
        )
    return value


class PretrainConfig(TrainingSettings):
    """What is trained, on what, and to which end."""

    renamed: ClassVar[Mapping[str, str]] = {
        "isolate": "document_mask",
        "inject": "write `knowledge: {method: k-bert}`, with these settings",
    }

    shorthand: ClassVar[Mapping[str, str]] = {"objective": "name", "knowledge": "method"}

    base: Base = Base()
    """The model that training starts from."""
    recipe: RecipeName = "default"
    """The settings of training that are not written here, where the base is a fresh one: the defaults, others that may
    learn more in little time, or those with which its family was published. A trained base has the defaults."""
    objective: Annotated[table.AnyObjective, BeforeValidator(_no_method)] = MLM()
    """What is learned: a name, or `name:` with settings."""
    knowledge: KnowledgeMethods = ()
    """What a graph gives the model, and how: a method's name, `method:` with settings, or a list of such. None: what
    the model that training starts from brings."""
    format: FormatName = "doc-sentences"
    """What a row is made of (Liu et al. 2019, §4.2); packed: rows of exactly `length` tokens; dialogue: three turns."""
    length: int = Field(128, ge=8)
    """Longest row in tokens, special tokens included; of span-corruption, longest source, which is of more text."""
    document_mask: bool = False
    """Hide the documents that share a row from one another."""

    @model_validator(mode="before")
    @classmethod
    def _follow_recipe(cls, values: Any) -> Any:
        if not isinstance(values, Mapping):
            return values
        base = values.get("base", {})
        if isinstance(base, Base):
            base = {"family": base.family, "from": base.trained}
        if not isinstance(base, Mapping) or base.get("from") is not None:
            return values
        return {**settings_of(values.get("recipe", "default"), base.get("family", "bert")), **values}

    @property
    def rows(self) -> RowSettings:
        """What rows are made of."""
        return RowSettings(self.format, self.length, self.document_mask)


@dataclass(frozen=True)
class PretrainInputs:
    """The text; a model to start from: that of an earlier stage, in place of `base`; the vectors and the graph that
    knowledge is from; a graph by which entities that have no vector get one, composed from their neighbours."""

    shards: Shards
    start: Model | None = None
    vectors: Vectors | None = None
    graph: Graph | None = None
    neighbours: Graph | None = None


def pretrain(inputs: PretrainInputs, config: PretrainConfig, context: StageContext) -> None:
    """Train and write a model folder. Raises ValueError where base, tokenizer, objective and format do not fit.

    The seed gives the first weights and the order of the text, whatever the objective: arms differ in nothing
    else.
    """
    if config.processes == 1:
        fit(inputs, config, context)
        return
    from kepipe.training import launch

    launch.run(fit, inputs, config, context, config.processes)


def fit(inputs: PretrainInputs, config: PretrainConfig, context: StageContext) -> None:
    """The stage's work in one process; where there are several, the first writes the model folder."""
    from kepipe.knowledge import opening
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
    opening.save(run.knowledge, context.out, run.model, all_of_it=False)


def conflicts(stage: Planned) -> Iterator[ConfigConflict]:
    """What the settings of base, objective, knowledge, rows and tokenizer exclude of each other."""
    config: PretrainConfig = stage.config
    try:
        model = preview.starting_model(stage)
    except ConfigConflict as conflict:
        model = None
        yield conflict
    context = KnowledgeContext(model, config.length, config.objective)
    yield from preview.knowledge_conflicts(stage, context)
    if model is not None and not isinstance(model, TransformerConfig):
        yield ConfigConflict(
            "base", f"{preview.display_name(stage)} is no transformer, which is what this stage trains"
        )
        return
    if model is not None:
        yield from requirements.conflicts(config.objective, model, preview.display_name(stage), config.rows)
    yield from preview.incompatibilities(stage, config.objective, model)


def _needs(config: PretrainConfig) -> tuple[str, ...]:
    return inputs_of(config.knowledge)


def _fingerprint(config: PretrainConfig) -> Mapping[str, str]:
    return fingerprint(config.base)


PRETRAIN = Stage(
    "pretrain", 9, PretrainInputs, PretrainConfig, Model, pretrain, _fingerprint, conflicts, _needs
)
