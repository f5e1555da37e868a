"""`mixture`: each batch has one of several objectives, drawn by weight; an objective may join later (ERNIE 2.0's
continual multi-task learning, Sun et al. 2020, §3.2: a new task is trained together with all tasks so far)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, SerializeAsAny, ValidationInfo, field_validator, model_validator

from kepipe.config import Section
from kepipe.objectives.settings import ObjectiveSettings
from kepipe.objectives.turns import ScheduleName


class Share(Section):
    """An objective of the mixture, with its weight."""

    objective: SerializeAsAny[ObjectiveSettings]
    """A name, or `name:` with settings."""
    weight: float = Field(1.0, gt=0)
    """How often it is drawn; only the ratios of weights count."""
    joins: float = Field(0.0, ge=0, lt=1)
    """Share of the training steps after which it joins the others."""

    @field_validator("objective", mode="before")
    @classmethod
    def _look_up(cls, value: Any, info: ValidationInfo) -> Any:
        from kepipe.objectives.table import read

        return read(value, info.context)


class Mixture(ObjectiveSettings):
    """Several objectives, one per batch."""

    name: Literal["mixture"] = "mixture"
    of: tuple[Share, ...] = Field((), min_length=1, validate_default=True)
    """The objectives."""
    schedule: ScheduleName = "joint"
    """joint: all that have joined are trained together; continual: one after the other joins those before it, in the
    order of `of`; sequential: one after the other, each alone. Each objective has the same share of the training under
    all three."""
    tasks: bool = False
    """Tell the model the objective of a batch by a task embedding; needs a base with as many `tasks`."""

    @model_validator(mode="after")
    def _somebody_begins(self) -> Mixture:
        if all(share.joins > 0 for share in self.of):
            raise ValueError(
                "at least one objective must be trained from the beginning: set its `joins` to 0"
            )
        return self

    @model_validator(mode="after")
    def _one_schedule(self) -> Mixture:
        if self.schedule != "joint" and any(share.joins > 0 for share in self.of):
            raise ValueError(f"schedule {self.schedule} determines when each objective joins: remove `joins`")
        return self

    @model_validator(mode="after")
    def _one_model(self) -> Mixture:
        from kepipe.objectives.table import name_of, row_of

        first, *others = self.objectives
        for other in others:
            ours, theirs = row_of(first), row_of(other)
            if (ours.stack, ours.begin) != (theirs.stack, theirs.begin):
                raise ValueError(
                    f"{name_of(first)} and {name_of(other)} do not train the same stacks on the same rows: use two "
                    "stages"
                )
        return self

    @property
    def objectives(self) -> tuple[ObjectiveSettings, ...]:
        """Those of the shares."""
        return tuple(share.objective for share in self.of)

    def row_length(self, length: int) -> int:
        """See `ObjectiveSettings`: no objective's rows are longer than `length`."""
        return min(objective.row_length(length) for objective in self.objectives)

    def num_segments(self, pairs: bool) -> int:
        """See `ObjectiveSettings`."""
        return max(objective.num_segments(pairs) for objective in self.objectives)

    def num_tasks(self) -> int:
        """See `ObjectiveSettings`."""
        return len(self.of) if self.tasks else 0

    def both_directions(self) -> bool:
        """See `ObjectiveSettings`."""
        return any(objective.both_directions() for objective in self.objectives)

    def label_heads(self) -> Mapping[str, int]:
        """See `ObjectiveSettings`. Raises ValueError if two objectives of one name have different numbers of labels."""
        heads: dict[str, int] = {}
        for objective in self.objectives:
            for name, count in objective.label_heads().items():
                if heads.setdefault(name, count) != count:
                    raise ValueError(
                        f"two objectives {name} have {heads[name]} and {count} labels: use one of them"
                    )
        return heads

    def needs_dropout(self) -> bool:
        """See `ObjectiveSettings`."""
        return any(objective.needs_dropout() for objective in self.objectives)

    def files(self) -> tuple[Path, ...]:
        """See `ObjectiveSettings`."""
        return tuple(file for objective in self.objectives for file in objective.files())

    def row_label_setting(self) -> str | None:
        """See `ObjectiveSettings`."""
        settings = (objective.row_label_setting() for objective in self.objectives)
        return next((setting for setting in settings if setting is not None), None)

    def without(self, kind: str) -> str | None:
        """See `ObjectiveSettings`."""
        if kind == "tasks":
            return "tasks: false"
        return next(filter(None, (objective.without(kind) for objective in self.objectives)), None)
