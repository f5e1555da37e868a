"""The interfaces of a knowledge method: the row of the table, and the opened method for a model and a graph."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Protocol, TypeVar, runtime_checkable

import numpy as np

from kepipe.config import ConfigConflict, Section

if TYPE_CHECKING:
    from kepipe.arrays import Ints
    from kepipe.data.batch import Batch, Mentions, TokenRows
    from kepipe.data.row_batches import RowStream
    from kepipe.models.protocols import EncoderConfig, TrainableEncoder
    from kepipe.objectives.base import Objective
    from kepipe.objectives.settings import ObjectiveSettings
    from kepipe.tokenization.tokenizer import Tokenizer

EncoderT = TypeVar("EncoderT", bound="TrainableEncoder")
KNOWLEDGE_FILE = "knowledge.json"
"""File of a model folder with the names and settings of the model's knowledge methods."""


class KnowledgeSettings(Section):
    """The settings of a method. Each subclass declares `method`, its name."""


@runtime_checkable
class TakesKnowledge(Protocol):
    """The settings of a stage that supports knowledge methods."""

    @property
    def knowledge(self) -> tuple[KnowledgeSettings, ...]:
        """The methods, in the order in which they are applied."""
        ...


class Control(NamedTuple):
    """A control arm for a method: without the method, with wrong or no facts, or with another method.

    `name`: the arm's name; equivalent controls of different methods share a name. `replaced_by`: input of the stage →
    the kind of stage that produces the replacement. `settings`: settings that the method has instead of its own. If
    both are empty, the method is left out, or replaced by `method`.
    """

    name: str
    replaced_by: Mapping[str, str]
    method: str | None = None
    settings: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True)
class Sources:
    """The sources from which a method is opened.

    `graph`: a stored graph. `vectors`: a folder with entity vectors. `neighbours`: a stored graph from which vectors
    are composed for entities without one. `brought_vectors`: the entity vectors in the model's own folder.
    """

    tokenizer: Tokenizer
    config: EncoderConfig
    graph: Path | None = None
    vectors: Path | None = None
    neighbours: Path | None = None
    brought_vectors: Path | None = None
    for_prompts: ClassVar[bool] = False

    @property
    def facts_first(self) -> bool:
        """Whether facts must be inserted before the mention they belong to, because later tokens attend only to the
        left."""
        return self.for_prompts or self.config.causal


@dataclass(frozen=True)
class PromptSources(Sources):
    """Sources for the prompts of a language model, whatever its architecture."""

    for_prompts: ClassVar[bool] = True


@dataclass(frozen=True)
class KnowledgeContext:
    """Where a method is to be used, as known from the pipeline file: the model (None: unknown), the maximum row length
    in tokens, and the objective (None: outside of pretraining)."""

    model: EncoderConfig | None
    length: int
    objective: ObjectiveSettings | None = None


@dataclass(frozen=True)
class Coverage:
    """How many mentions of a text a method has knowledge of: a message and metrics. `nothing`: of none."""

    message: str
    nothing: bool
    metrics: Mapping[str, float] = field(default_factory=dict)


class Knowledge(Protocol):
    """An opened method. It is applied wherever rows become batches: in training, evaluation and prediction."""

    @property
    def in_weights(self) -> bool:
        """Whether the model has weights for it, so that it goes wherever the model goes."""
        ...

    @property
    def saves_sources(self) -> bool:
        """Whether `save` writes all of its sources, so that it can be opened from the model's folder alone."""
        ...

    def rows(self, text: RowStream) -> RowStream:
        """The rows of pretraining: those of the text, and those that the method adds."""
        ...

    def objective(self, objective: Objective) -> Objective:
        """The pretraining objective with this knowledge."""
        ...

    def apply(self, batch: Batch, mentions: Mentions) -> Batch:
        """The batch with the knowledge about its mentions added.

        If tokens move, because triples are inserted between them, `label_positions` and `labels` are updated, and
        `Batch.moved` maps each original position to its new one.
        """
        ...

    @property
    def keeps(self) -> int | None:
        """Rows of at most this many tokens lose none of them to inserted facts; None: no row loses any."""
        ...

    def knows(self, entity: str) -> bool:
        """Whether the method has a vector or a triple of an entity."""
        ...

    def coverage(self, mentions: Ints, ids: Sequence[str]) -> Coverage | None:
        """The coverage of mentions, given as indices into `ids`; None: not applicable."""
        ...

    def save(self, folder: Path, model: TrainableEncoder) -> None:
        """Write what the method needs at inference into the model's folder."""
        ...


class LearnedKnowledge:
    """Base of methods that only affect training: they add nothing to a batch and save nothing.

    Subclasses override `Knowledge.rows` or `Knowledge.objective`.
    """

    in_weights: ClassVar[bool] = False
    saves_sources: ClassVar[bool] = False
    keeps: ClassVar[int | None] = None

    def rows(self, text: RowStream) -> RowStream:
        """See `Knowledge`."""
        return text

    def objective(self, objective: Objective) -> Objective:
        """See `Knowledge`."""
        return objective

    def apply(self, batch: Batch, mentions: Mentions) -> Batch:  # noqa: ARG002
        """See `Knowledge`."""
        return batch

    def knows(self, entity: str) -> bool:  # noqa: ARG002
        """See `Knowledge`: the model gets no knowledge at inference."""
        return False

    def coverage(self, mentions: Ints, ids: Sequence[str]) -> Coverage | None:  # noqa: ARG002
        """See `Knowledge`."""
        return None

    def save(self, folder: Path, model: TrainableEncoder) -> None:
        """See `Knowledge`: a trained model does not need it."""


class KnowledgeMethod(ABC):
    """A row of the table. To add a method, write a file with such a class, and add a line to `table.py`.

    No code outside of its file or package refers to it. A method with special requirements of the model, such as extra
    layers or an attention mask, rejects other models in `extend_config`.
    """

    section: ClassVar[type[KnowledgeSettings]]
    about: ClassVar[str]
    """What the method does, in one phrase without a full stop."""
    in_weights: ClassVar[bool] = False
    """Whether the model has weights for it, so that it goes wherever the model goes."""
    moves_tokens: ClassVar[bool] = False
    """Whether it moves tokens of a row, so that no other method may refer to fixed positions."""
    controls: ClassVar[tuple[Control, ...]]

    def inputs(self, settings: Any) -> tuple[str, ...]:  # noqa: ARG002
        """Stage inputs that the method needs: "vectors", "graph". They are wired by type if a single stage produces
        one."""
        return ()

    def conflicts(self, settings: Any, context: KnowledgeContext) -> Iterator[ConfigConflict]:  # noqa: ARG002
        """Conflicts with its use, as known from the pipeline file. Keys are those of the stage."""
        yield from ()

    def names_places(self, settings: Any) -> str | None:  # noqa: ARG002
        """If the method's additions to a batch refer to fixed positions in rows, which another method must not move:
        the setting that avoids this; None: they do not."""
        return None

    def implied(self, sources: Sources) -> KnowledgeSettings | None:  # noqa: ARG002
        """The settings of this method implied by a model whose folder has no `knowledge.json`, such as a converted
        model; None: it does not use the method."""
        return None

    def carried(self, folder: Path) -> Mapping[str, Path]:  # noqa: ARG002
        """The sources for the method in a model's folder: name of a source (see `Sources`) → its folder."""
        return {}

    def not_with_prompts(self, settings: Any, config: EncoderConfig) -> str | None:  # noqa: ARG002
        """Why the method cannot be used in a prompt of a language model; None: it can."""
        return "it writes nothing into a text, and a prompt is nothing but text"

    def brought(self, config: EncoderConfig) -> tuple[str, ...]:  # noqa: ARG002
        """Inputs that a stage does not need if it starts from a trained model of this config, because the model's
        folder has them."""
        return ()

    def extend_config(self, config: EncoderConfig, settings: Any) -> EncoderConfig:  # noqa: ARG002
        """The config of the model with the method's weights, as far as known without the vectors.

        Raises ValueError for an unsupported model.
        """
        return config

    def extend_model(
        self,
        model: EncoderT,
        knowledge: Any,  # noqa: ARG002
        seed: int,  # noqa: ARG002
        note: Callable[[str], None],  # noqa: ARG002
    ) -> EncoderT:
        """The model with the method's weights, initialised with `seed`; reported through `note`."""
        return model

    @abstractmethod
    def open(self, settings: Any, sources: Sources, note: Callable[[str], None]) -> Knowledge:
        """Open the method with these sources. Raises ValueError if one is missing or does not fit."""

    def open_to_learn(self, settings: Any, sources: Sources, note: Callable[[str], None]) -> Knowledge:
        """Open the method for pretraining, if it works differently there."""
        return self.open(settings, sources, note)


def apply_after_corruption(knowledge: Knowledge, objective: Objective) -> Objective:
    """The objective with the knowledge applied to corrupted batches, so that the same tokens are masked with a graph,
    with another graph, or without one."""
    from dataclasses import replace

    def collate(rows: TokenRows, rng: np.random.Generator, progress: float) -> Batch:
        return knowledge.apply(objective.collate(rows, rng, progress), rows.mentions())

    return replace(objective, collate=collate)


@dataclass(frozen=True)
class CombinedKnowledge:
    """Several methods, applied one after the other."""

    parts: tuple[Knowledge, ...]

    @property
    def in_weights(self) -> bool:
        """See `Knowledge`."""
        return any(part.in_weights for part in self.parts)

    @property
    def saves_sources(self) -> bool:
        """See `Knowledge`."""
        return all(part.saves_sources for part in self.parts)

    @property
    def keeps(self) -> int | None:
        """See `Knowledge`: if several methods insert tokens, one may truncate rows that another has lengthened."""
        limits = [part.keeps for part in self.parts if part.keeps is not None]
        return 0 if len(limits) > 1 else next(iter(limits), None)

    def rows(self, text: RowStream) -> RowStream:
        """See `Knowledge`."""
        for part in self.parts:
            text = part.rows(text)
        return text

    def objective(self, objective: Objective) -> Objective:
        """See `Knowledge`."""
        for part in self.parts:
            objective = part.objective(objective)
        return objective

    def apply(self, batch: Batch, mentions: Mentions) -> Batch:
        """See `Knowledge`."""
        for part in self.parts:
            batch = part.apply(batch, mentions)
        return batch

    def knows(self, entity: str) -> bool:
        """See `Knowledge`."""
        return any(part.knows(entity) for part in self.parts)

    def coverage(self, mentions: Ints, ids: Sequence[str]) -> Coverage | None:
        """See `Knowledge`."""
        found = [coverage for part in self.parts if (coverage := part.coverage(mentions, ids)) is not None]
        if not found:
            return None
        metrics = {name: value for coverage in found for name, value in coverage.metrics.items()}
        message = "; ".join(coverage.message for coverage in found)
        return Coverage(message, any(coverage.nothing for coverage in found), metrics)

    def save(self, folder: Path, model: TrainableEncoder) -> None:
        """See `Knowledge`."""
        for part in self.parts:
            part.save(folder, model)
