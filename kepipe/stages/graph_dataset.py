"""Stage `graph-dataset`: a graph → a task that only who knows the graph can do: classification, or entity typing."""

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
    """What is asked of the graph's entities, and how."""

    ask: Literal["objects", "types"] = "objects"
    """`objects`: for the object of a triple, as `task: classification`; `types`: for all types of an entity, as
    `task: typing`."""
    relations: list[str] = Field(default_factory=list)
    """Ids of the relations that are asked for; none given: all that have enough to ask. With `ask: types` those whose
    objects are types too, such as occupations, beside the types that the graph gives its entities."""
    templates: list[str] | None = Field(None, min_length=1)
    """How one asks: `{name}` stands for the entity, `{relation}` for the relation's name; none given: English ones."""
    fewest: int = Field(12, ge=2)
    """An answer that fewer entities share is not asked for."""
    most: int = Field(60, ge=2)
    """Questions with the same answer, at most: guessing must not pay."""
    dev: float = Field(0.1, gt=0, lt=0.5)
    """Share of the entities asked about by which the best epoch is chosen."""
    test: float = Field(0.3, gt=0, lt=0.5)
    """Share of the entities asked about at the end alone."""

    @model_validator(mode="after")
    def _name_somebody(self) -> GraphDatasetConfig:
        for template in self.templates or ():
            if template.count("{name}") != 1:
                raise ValueError(f"expected `{{name}}` once in {template!r}")
            if self.ask == "types" and "{relation}" in template:
                raise ValueError(
                    f"`ask: types` asks for no relation: leave `{{relation}}` out of {template!r}"
                )
        return self


@dataclass(frozen=True)
class GraphDatasetInputs:
    """The graph that knows the answers."""

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
        (make_classification, ENGLISH) if config.ask == "objects" else (make_typing, ENGLISH_TYPES)
    )
    limits = Limits(config.relations, config.fewest, config.most, (config.dev, config.test))
    return make(graph, config.templates or templates, np.random.default_rng([seed, 23]), limits)


def _record(question: Question, ask: str) -> dict[str, Any]:
    """A line of the task's file."""
    start, end, entity = question.mention.start, question.mention.end, question.mention.entity
    told: dict[str, Any] = {"id": question.id, "text": question.text}
    if ask == "types":
        return {**told, "start": start, "end": end, "types": list(question.answers), "entity": entity}
    mention = {"start": start, "end": end, "entity": entity}
    return {**told, "mentions": [mention], "label": question.answers[0]}


GRAPH_DATASET = Stage("graph-dataset", 1, GraphDatasetInputs, GraphDatasetConfig, TaskData, write_dataset)
