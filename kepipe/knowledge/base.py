"""What a knowledge method is: a row of the table, and what it becomes when it is opened for a model and a graph."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
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
"""What a model's folder says of the method that goes with the model: its name and settings."""


class KnowledgeSettings(Section):
    """The settings of a method. `method`, its name, is declared by each."""


@runtime_checkable
class TakesKnowledge(Protocol):
    """The settings of a stage into which knowledge can come."""

    @property
    def knowledge(self) -> tuple[KnowledgeSettings, ...]:
        """The methods, in the order in which they work."""
        ...


class Control(NamedTuple):
    """An arm that shows what a method's knowledge is worth: the method left out, with wrong or no facts, or another.

    `name`: of the arm; methods whose controls mean the same give them the same name. `replaced_by`: input of the stage
    → the kind of stage that makes what fills it instead; empty: the method is left out, or `method` takes its place.
    """

    name: str
    replaced_by: Mapping[str, str]
    method: str | None = None


@dataclass(frozen=True)
class Sources:
    """What a method is opened from.

    `graph`: a stored graph. `vectors`: a folder with the vectors of entities. `neighbours`: a stored graph from which
    vectors are composed for entities that have none. `brought_vectors`: the vectors that the model's folder brings.
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
        """Whether what is written into a row has to stand before what it belongs to, as only that is known later on."""
        return self.for_prompts or self.config.causal


@dataclass(frozen=True)
class PromptSources(Sources):
    """The same for prompts, with which a language model goes on, whatever it is made of."""

    for_prompts: ClassVar[bool] = True


@dataclass(frozen=True)
class KnowledgeContext:
    """Where a method is to be used, as far as a pipeline file says: the model (None: not known), the longest row in
    tokens, and the objective (None: outside of pretraining)."""

    model: EncoderConfig | None
    length: int
    objective: ObjectiveSettings | None = None


@dataclass(frozen=True)
class Coverage:
    """What a method knows of the mentions of a text, in words and numbers. `nothing`: none of them."""

    message: str
    nothing: bool
    metrics: Mapping[str, float] = field(default_factory=dict)


class Knowledge(Protocol):
    """A method that is opened. It works wherever rows become batches: in training, measuring and prediction."""

    @property
    def in_weights(self) -> bool:
        """Whether the model has weights for it, so that it goes wherever the model goes."""
        ...

    def rows(self, text: RowStream) -> RowStream:
        """The rows that a pretraining reads: those of the text, and what the method puts among them."""
        ...

    def objective(self, objective: Objective) -> Objective:
        """The objective as it is learned with this knowledge."""
        ...

    def apply(self, batch: Batch, mentions: Mentions) -> Batch:
        """The batch with what is known of its mentions, as the model is to read it.

        Where tokens move, as when triples are written between them, `label_positions` and `labels` move with them, and
        `Batch.moved` says where each token stands.
        """
        ...

    @property
    def keeps(self) -> int | None:
        """Rows of up to so many tokens lose none of them to what is written into rows; None: no row does."""
        ...

    def knows(self, entity: str) -> bool:
        """Whether there is anything to say of an entity: a vector, a triple."""
        ...

    def coverage(self, mentions: Ints, ids: Sequence[str]) -> Coverage | None:
        """What is known of mentions, given as numbers among `ids`; None: nothing to say."""
        ...

    def save(self, folder: Path, model: TrainableEncoder) -> None:
        """Write what the method needs at inference beside the model."""
        ...


class LearnedKnowledge:
    """What a method that only changes what is learned has in common: nothing enters a batch, nothing is saved.

    `Knowledge.rows` or `Knowledge.objective` is what it has to say.
    """

    in_weights: ClassVar[bool] = False
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
        """See `Knowledge`: it tells the model nothing."""
        return False

    def coverage(self, mentions: Ints, ids: Sequence[str]) -> Coverage | None:  # noqa: ARG002
        """See `Knowledge`."""
        return None

    def save(self, folder: Path, model: TrainableEncoder) -> None:
        """See `Knowledge`: a trained model needs nothing of it."""


class KnowledgeMethod(ABC):
    """A row of the table. One that is added is a file with such a class, and a line in `table.py`.

    Nothing outside of its file or package names it. A method that asks more of a model than that it encodes, such as
    layers or who sees whom, refuses other models in `extend_config`.
    """

    section: ClassVar[type[KnowledgeSettings]]
    about: ClassVar[str]
    """What it does, in one sentence without a full stop."""
    in_weights: ClassVar[bool] = False
    """Whether the model has weights for it, so that it goes wherever the model goes."""
    moves_tokens: ClassVar[bool] = False
    """Whether tokens of a row move, so that nothing else may name places in it."""
    controls: ClassVar[tuple[Control, ...]]

    def inputs(self, settings: Any) -> tuple[str, ...]:  # noqa: ARG002
        """Inputs of a stage that it needs: "vectors", "graph". They are found by type where one stage makes such."""
        return ()

    def conflicts(self, settings: Any, context: KnowledgeContext) -> Iterator[ConfigConflict]:  # noqa: ARG002
        """What it cannot be used with, as far as a pipeline file says. Keys are those of the stage."""
        yield from ()

    def names_places(self, settings: Any) -> str | None:  # noqa: ARG002
        """Where what it adds to a batch names places in rows, which another method must not move: what the
        user has to write so that it does not; None: it names none."""
        return None

    def implied(self, sources: Sources) -> KnowledgeSettings | None:  # noqa: ARG002
        """The settings with which a model brings this method although its folder has no `knowledge.json`, as one from
        elsewhere; None: it does not."""
        return None

    def carried(self, folder: Path) -> Mapping[str, Path]:  # noqa: ARG002
        """What a model's folder carries for the method: the name of a source (see `Sources`) → its folder."""
        return {}

    def not_with_prompts(self, settings: Any, config: EncoderConfig) -> str | None:  # noqa: ARG002
        """Why a language model cannot be given it with a prompt; None: it can."""
        return "it writes nothing into a text, and a prompt is nothing but text"

    def brought(self, config: EncoderConfig) -> tuple[str, ...]:  # noqa: ARG002
        """Inputs that a stage need not have where it starts from a trained model of this config: its folder carries
        them, as the model has weights for them."""
        return ()

    def extend_config(self, config: EncoderConfig, settings: Any) -> EncoderConfig:  # noqa: ARG002
        """The config of a model that it adds weights to, as far as it is known before there are vectors.

        Raises ValueError for a model that it cannot be added to.
        """
        return config

    def extend_model(
        self,
        model: EncoderT,
        knowledge: Any,  # noqa: ARG002
        seed: int,  # noqa: ARG002
        note: Callable[[str], None],  # noqa: ARG002
    ) -> EncoderT:
        """The model with the weights that the opened method adds, drawn from `seed`; `note` is told of them."""
        return model

    @abstractmethod
    def open(self, settings: Any, sources: Sources, note: Callable[[str], None]) -> Knowledge:
        """The method over these sources. Raises ValueError where one is missing or does not fit."""

    def open_to_learn(self, settings: Any, sources: Sources, note: Callable[[str], None]) -> Knowledge:
        """The same as a pretraining uses it, where that is not how a model reads with it."""
        return self.open(settings, sources, note)


def apply_after_corruption(knowledge: Knowledge, objective: Objective) -> Objective:
    """The objective over batches to which the knowledge is applied after their rows were corrupted: with a graph, with
    another or with none, the same tokens are hidden."""
    from dataclasses import replace

    def collate(rows: TokenRows, rng: np.random.Generator, progress: float) -> Batch:
        return knowledge.apply(objective.collate(rows, rng, progress), rows.mentions())

    return replace(objective, collate=collate)


class EntityLookup:
    """Rows of entities in a table of the method's own, from their numbers among a list of ids.

    The rows of a list are found once; another list takes its place. Several threads may look up.
    """

    def __init__(self, find: Callable[[Sequence[str]], Ints]) -> None:
        """`find`: ids → the row of each, −1 for one that the table does not have."""
        self._find = find
        self._known: tuple[Sequence[str], Ints] | None = None

    def rows(self, mentions: Mentions) -> Ints:
        """The row of each mention's entity, int [M]; −1: none."""
        rows = self.rows_of(mentions.ids)
        return rows[mentions.entities]  # an entity −1 takes the −1 at the end

    def rows_of(self, ids: Sequence[str]) -> Ints:
        """The row of each id, and a −1 at the end: int [ids + 1]."""
        known = self._known
        if known is None or known[0] is not ids:
            known = self._known = (ids, np.append(self._find(ids), -1).astype(np.int64))
        return known[1]


@dataclass(frozen=True)
class CombinedKnowledge:
    """Several methods, one after the other: what a model's folder brings, then what a stage's settings add."""

    parts: tuple[Knowledge, ...]

    @property
    def in_weights(self) -> bool:
        """See `Knowledge`."""
        return any(part.in_weights for part in self.parts)

    @property
    def keeps(self) -> int | None:
        """See `Knowledge`: where several write, one may cut what another has made longer."""
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
