"""What the settings of every objective tell of the model and the rows that it needs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from kepipe.config import Section


class ObjectiveSettings(Section):
    """The settings of an objective. What it needs beyond its row of the table depends on them."""

    def row_length(self, length: int) -> int:
        """Tokens of a row of text of which the model reads `length`."""
        return length

    def num_segments(self, pairs: bool) -> int:
        """Kinds of segments that the model must know; `pairs`: whether rows have two segments."""
        return 2 if pairs else 0

    def num_tasks(self) -> int:
        """Kinds of tasks that the model must know."""
        return 0

    def both_directions(self) -> bool:
        """Whether streams are read from the right as well, by every second row of a batch."""
        return False

    def label_heads(self) -> Mapping[str, int]:
        """Heads that the model must have: name → labels that it chooses from. Raises ValueError where a file that says
        them cannot be read."""
        return {}

    def needs_dropout(self) -> bool:
        """Whether nothing is learned without dropout."""
        return False

    def files(self) -> tuple[Path, ...]:
        """Files of the user's that it learns from."""
        return ()

    def row_label_setting(self) -> str | None:
        """The setting that has labels of rows learned, which takes a head; None where none are."""
        return None

    def without(self, kind: str) -> str | None:  # noqa: ARG002
        """What to set so that no more "segments" or "tasks" are needed than a plain model has; None: nothing."""
        return None
