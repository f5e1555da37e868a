"""The table of tasks. A new one is a file and a row."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

from kepipe.finetuning import (
    classification,
    entity_linking,
    multi_label,
    question_answering,
    relations,
    similarity,
    tagging,
    text_to_text,
    typing,
)
from kepipe.finetuning.task import Task

TASKS: Mapping[str, Task] = {
    "relations": relations.TASK,
    "typing": typing.TASK,
    "classification": classification.CLASSIFICATION,
    "multi-label": multi_label.TASK,
    "pairs": classification.PAIRS,
    "similarity": similarity.TASK,
    "ranking": classification.RANKING,
    "tagging": tagging.TASK,
    "entity-linking": entity_linking.TASK,
    "question-answering": question_answering.TASK,
    "text-to-text": text_to_text.TASK,
}

if TYPE_CHECKING:
    TaskName = str
else:
    TaskName = Literal[tuple(TASKS)]
    """The name of a task, as the type of a config's field."""
