"""Stage `interpolate`: several language models → one that mixes their probabilities."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from kepipe.config import ConfigConflict, Section
from kepipe.flow.stage import Planned, Stage, StageContext
from kepipe.stages import preview
from kepipe.stages.artifacts import Model
from kepipe.stages.provenance import provenance


@dataclass(frozen=True)
class InterpolateInputs:
    """The models, with the same tokenizer; by default all models of the pipeline."""

    members: tuple[Model, ...] = ()


class InterpolateConfig(Section):
    """Weights of the models."""

    weights: tuple[float, ...] | None = None
    """Weight of each of the `members`, in order. None: equal weights."""

    def shares(self, members: int) -> tuple[float, ...]:
        """The normalised weights of `members` models. Raises ConfigConflict for another number of weights."""
        weights = (1.0,) * members if self.weights is None else self.weights
        if members < 2:
            raise ConfigConflict(
                "inputs.members", "give two or more models: `inputs: {members: [one, other]}`"
            )
        if len(weights) != members or min(weights) <= 0:
            raise ConfigConflict("weights", f"expected {members} numbers above 0, one per member")
        return tuple(weight / sum(weights) for weight in weights)


def interpolate(inputs: InterpolateInputs, config: InterpolateConfig, context: StageContext) -> None:
    """Write a model folder with the members inside. Raises ValueError if one is not a language model, or has another
    tokenizer than the first."""
    from kepipe.flow.artifact import link_folder
    from kepipe.inference.opening import read_config
    from kepipe.knowledge.base import KNOWLEDGE_FILE
    from kepipe.models.config import CONFIG
    from kepipe.models.files import copy_tokenizer, write_json
    from kepipe.models.folder import PROVENANCE
    from kepipe.models.interpolation import InterpolationConfig

    first = inputs.members[0]
    weights = config.shares(len(inputs.members))
    for member in inputs.members:
        if (member.folder / KNOWLEDGE_FILE).is_file():
            context.warn(
                f"`{member.name}`: the facts that its knowledge adds to prompts are not part of the mixture"
            )
        if "language-model" not in read_config(member.folder).capabilities:
            raise ValueError(_no_language_model(member.name))
        if (member.folder / "tokenizer.json").read_bytes() != (first.folder / "tokenizer.json").read_bytes():
            raise ValueError(
                f"`{member.name}` and `{first.name}` have different tokenizers: train both on the same shards"
            )
    names = [f"{number}-{member.name}" for number, member in enumerate(inputs.members, 1)]
    for name, member in zip(names, inputs.members, strict=True):
        link_folder(member.folder, context.out / name)
    write_json(context.out / CONFIG, InterpolationConfig(members=tuple(names), weights=weights).to_json())
    copy_tokenizer(first.folder, context.out)
    write_json(context.out / PROVENANCE, provenance("interpolate", inputs, config, context))
    context.log(
        {f"weight_{member.name}": share for member, share in zip(inputs.members, weights, strict=True)}
    )


def _no_language_model(name: str) -> str:
    from kepipe.models.any_base import families_that_write

    return f"`{name}` is not a language model, such as those of {families_that_write()}"


def conflicts(stage: Planned) -> Iterator[ConfigConflict]:
    """Too few members, members that are not language models, and a wrong number of weights."""
    members: Sequence[Planned] = stage.inputs["members"]
    for member in members:
        model = preview.model_of(member)
        if model is not None and "language-model" not in model.capabilities:
            yield ConfigConflict("inputs.members", _no_language_model(member.name))
    try:
        stage.config.shares(len(members))
    except ConfigConflict as conflict:
        yield conflict


INTERPOLATE = Stage(
    "interpolate", 1, InterpolateInputs, InterpolateConfig, Model, interpolate, conflicts=conflicts
)
