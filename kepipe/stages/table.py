"""All kinds of stages. A new one is one module and one row here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kepipe.flow.stage import Stage
from kepipe.stages.corpus import CORPUS
from kepipe.stages.embed import EMBED
from kepipe.stages.evaluate import EVALUATE
from kepipe.stages.finetune import FINETUNE
from kepipe.stages.from_champion import CHAMPION_STAGE
from kepipe.stages.graph import GRAPH
from kepipe.stages.graph_dataset import GRAPH_DATASET
from kepipe.stages.interpolate import INTERPOLATE
from kepipe.stages.link import LINK
from kepipe.stages.names_only_graph import NAMES_ONLY_GRAPH
from kepipe.stages.names_only_vectors import NAMES_ONLY_VECTORS
from kepipe.stages.neighbours import NEIGHBOURS
from kepipe.stages.pretrain import PRETRAIN
from kepipe.stages.register import REGISTER
from kepipe.stages.replay import REPLAY
from kepipe.stages.report import REPORT
from kepipe.stages.retraining_report import RETRAINING_REPORT
from kepipe.stages.shards import SHARDS
from kepipe.stages.shuffled_graph import SHUFFLED_GRAPH
from kepipe.stages.shuffled_vectors import SHUFFLED_VECTORS
from kepipe.stages.task_report import TASK_REPORT
from kepipe.stages.title_dataset import TITLE_DATASET
from kepipe.stages.vectors import VECTORS

STAGES: tuple[Stage[Any, Any], ...] = (
    GRAPH,
    SHUFFLED_GRAPH,
    NAMES_ONLY_GRAPH,
    CORPUS,
    NEIGHBOURS,
    LINK,
    CHAMPION_STAGE,
    REPLAY,
    SHARDS,
    EMBED,
    VECTORS,
    SHUFFLED_VECTORS,
    NAMES_ONLY_VECTORS,
    PRETRAIN,
    INTERPOLATE,
    GRAPH_DATASET,
    TITLE_DATASET,
    FINETUNE,
    EVALUATE,
    REPORT,
    TASK_REPORT,
    RETRAINING_REPORT,
    REGISTER,
)

RENAMED: Mapping[str, str] = {"quiz": "graph-dataset"}
"""Old name → new name of a kind, for error messages."""
