"""The base class of an objective's settings: what they require of the model and of rows."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from kepipe.config import Section


class ObjectiveSettings(Section):
    """The settings of an objective. The methods are its requirements that depend on settings; `table.Row` has the
    others."""

    def row_length(self, length: int) -> int:
        """Tokens of text per row, so that the model reads rows of `length` tokens."""
        return length

    def num_segments(self, pairs: bool) -> int:
        """Number of segment ids that the model must have; `pairs`: whether rows have two segments."""
        return 2 if pairs else 0

    def num_tasks(self) -> int:
        """Number of task ids that the model must have."""
        return 0

    def both_directions(self) -> bool:
        """Whether every second row of a batch reads its stream right to left."""
        return False

    def label_heads(self) -> Mapping[str, int]:
        """Label heads that the model must have: name → number of labels. Raises ValueError if a file of labels cannot
        be read."""
        return {}

    def needs_dropout(self) -> bool:
        """Whether nothing is learned without dropout."""
        return False

    def files(self) -> tuple[Path, ...]:
        """Files of the user that the objective is trained on."""
        return ()

    def row_label_setting(self) -> str | None:
        """The name of the setting by which labels of rows are learned, which needs a next-sentence head; None: they are
        not learned."""
        return None

    def without(self, kind: str) -> str | None:  # noqa: ARG002
        """For messages: the setting with which a plain model has enough of `kind` ("segments" or "tasks"); None: there
        is none."""
        return None
