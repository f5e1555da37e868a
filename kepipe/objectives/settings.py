"""What the settings of every objective tell of the model and the rows that it needs."""

from __future__ import annotations

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

    def row_label_setting(self) -> str | None:
        """The setting that has labels of rows learned, which takes a head; None where none are."""
        return None

    def without(self, kind: str) -> str | None:  # noqa: ARG002
        """What to set so that no more "segments" or "tasks" are needed than a plain model has; None: nothing."""
        return None
