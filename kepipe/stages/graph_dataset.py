"""Stage `graph-dataset`: a graph → a task that needs knowledge of the graph: classification, typing, text-to-text."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, model_validator

from kepipe.config import Section
from kepipe.flow.stage import Stage, StageContext
from kepipe.stages.artifacts import Graph, TaskData

if TYPE_CHECKING:
    from kepipe.finetuning.graph_dataset import GraphDataset, Question
    from kg.store import Graph as StoredGraph

ENGLISH = (
    "Which {relation} does {name} have?",
    "The {relation} of {name} was given wrongly in the first edition.",
    "They could not agree on {name}: what is the {relation}?",
    "Write down the {relation} that {name} has.",
)


ENGLISH_TYPES = (
    "Everybody spoke of {name} that evening.",
    "The name {name} stands on the first page.",
    "They could not agree on {name}.",
    "There is one thing that you should know about {name}.",
)


class GraphDatasetConfig(Section):
    """Questions about the graph's entities."""

    ask: Literal["objects", "types", "text"] = "objects"
    """`objects`: the object of a triple, for `task: classification`; `types`: all types of an entity, for `task:
    typing`; `text`: the same questions as `objects`, for `task: text-to-text`, where other names of the object are
    correct, too."""
    relations: list[str] = Field(default_factory=list)
    """Ids of the relations to ask for; empty: all with enough questions. With `ask: types`: relations whose objects
    count as types too, such as occupations, in addition to the graph's own types."""
    templates: list[str] | None = Field(None, min_length=1)
    """Templates of the questions, with `{name}` for the entity and `{relation}` for the relation. None: English
    ones."""
    fewest: int = Field(12, ge=2)
    """Minimum number of entities with the same answer; rarer answers are not used."""
    most: int = Field(60, ge=2)
    """Maximum number of questions with the same answer, so that guessing the most frequent one does not help."""
    dev: float = Field(0.1, gt=0, lt=0.5)
    """Share of the entities in the dev split."""
    test: float = Field(0.3, gt=0, lt=0.5)
    """Share of the entities in the test split."""

    @model_validator(mode="after")
    def _name_somebody(self) -> GraphDatasetConfig:
        for template in self.templates or ():
            if template.count("{name}") != 1:
                raise ValueError(f"expected `{{name}}` once in {template!r}")
            if self.ask == "types" and "{relation}" in template:
                raise ValueError(f"`ask: types` has no relations: remove `{{relation}}` from {template!r}")
        return self


@dataclass(frozen=True)
class GraphDatasetInputs:
    """The graph with the answers."""

    graph: Graph


def write_dataset(inputs: GraphDatasetInputs, config: GraphDatasetConfig, context: StageContext) -> None:
    """Write `train.jsonl`, `dev.jsonl` and `test.jsonl` for a task. See `kepipe.finetuning.graph_dataset`."""
    from kg.store import open_graph

    made = _make(open_graph(inputs.graph.folder), config, context.seed)
    for split, questions in made.splits.items():
        with (context.out / f"{split}.jsonl").open("w", encoding="utf-8", newline="\n") as stream:
            for question in questions:
                stream.write(json.dumps(_record(question, config.ask), ensure_ascii=False) + "\n")
    answers = {
        answer for questions in made.splits.values() for question in questions for answer in question.answers
    }
    counts = {split: len(questions) for split, questions in made.splits.items()}
    context.log({"answers": len(answers), **counts})
    first = made.splits["train"][0]
    asked = f"{sum(counts.values())} questions with {len(answers)} answers"
    context.note(f"{asked}, such as: {first.text} {', '.join(first.answers)}")


def _make(graph: StoredGraph, config: GraphDatasetConfig, seed: int) -> GraphDataset:
    """The questions. Raises ValueError for relations that the graph does not have."""
    import numpy as np

    from kepipe.finetuning.graph_dataset import Limits, make_classification, make_typing

    unknown = [id for id in config.relations if id not in {relation.id for relation in graph.relations}]
    if unknown:
        raise ValueError(
            f"graph-dataset: the graph has no relation `{unknown[0]}`; `kepipe graph describe` lists them"
        )
    make, templates = (
        (make_typing, ENGLISH_TYPES) if config.ask == "types" else (make_classification, ENGLISH)
    )
    limits = Limits(config.relations, config.fewest, config.most, (config.dev, config.test))
    return make(graph, config.templates or templates, np.random.default_rng([seed, 23]), limits)


def _record(question: Question, ask: str) -> dict[str, Any]:
    """A record of the task's file."""
    start, end, entity = question.mention.start, question.mention.end, question.mention.entity
    record: dict[str, Any] = {"id": question.id, "text": question.text}
    if ask == "types":
        return {**record, "start": start, "end": end, "types": list(question.answers), "entity": entity}
    record["mentions"] = [{"start": start, "end": end, "entity": entity}]
    if ask == "text":
        return {**record, "target": question.answers[0], "aliases": list(question.aliases)}
    return {**record, "label": question.answers[0]}


GRAPH_DATASET = Stage("graph-dataset", 1, GraphDatasetInputs, GraphDatasetConfig, TaskData, write_dataset)
