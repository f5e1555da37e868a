"""The table of tasks. A new one is a file and a row."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

from kepipe.finetuning import classification, relations, tagging, text_to_text, typing
from kepipe.finetuning.task import Task

TASKS: Mapping[str, Task] = {
    "relations": relations.TASK,
    "typing": typing.TASK,
    "classification": classification.CLASSIFICATION,
    "pairs": classification.PAIRS,
    "ranking": classification.RANKING,
    "tagging": tagging.TASK,
    "text-to-text": text_to_text.TASK,
}

if TYPE_CHECKING:
    TaskName = str
else:
    TaskName = Literal[tuple(TASKS)]
    """The name of a task, as the type of a config's field."""
