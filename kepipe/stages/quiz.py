"""Stage `quiz`: a graph → a classification task that only who knows the graph can do."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from pydantic import Field, field_validator

from kepipe.config import Section
from kepipe.flow.stage import Stage, Work
from kepipe.stages.artifacts import Graph, TaskData

ENGLISH = (
    "Which {relation} does {name} have?",
    "The {relation} of {name} was given wrongly in the first edition.",
    "They could not agree on {name}: what is the {relation}?",
    "Write down the {relation} that {name} has.",
)


class QuizConfig(Section):
    """Which triples are asked for, and how."""

    relations: list[str] = Field(default_factory=list)
    """Ids of the relations that are asked for; none given: all that have enough to ask."""
    templates: list[str] = Field(list(ENGLISH), min_length=1)
    """How one asks: `{name}` stands for the entity, `{relation}` for the relation's name."""
    fewest: int = Field(12, ge=2)
    """An answer that fewer entities share is not asked for."""
    most: int = Field(60, ge=2)
    """Questions with the same answer, at most: guessing must not pay."""
    dev: float = Field(0.1, gt=0, lt=0.5)
    """Share of the entities asked about by which the best epoch is chosen."""
    test: float = Field(0.3, gt=0, lt=0.5)
    """Share of the entities asked about at the end alone."""

    @field_validator("templates")
    @classmethod
    def _name_somebody(cls, templates: list[str]) -> list[str]:
        for template in templates:
            if template.count("{name}") != 1:
                raise ValueError(f"expected `{{name}}` once in {template!r}")
        return templates


@dataclass(frozen=True)
class QuizInputs:
    """The graph that knows the answers."""

    graph: Graph


def quiz(inputs: QuizInputs, config: QuizConfig, work: Work) -> None:
    """Write `train.jsonl`, `dev.jsonl` and `test.jsonl` for the task `classification`. See `kepipe.tasks.quiz`."""
    import numpy as np

    from kepipe.tasks.quiz import make_quiz
    from kg.store import open_graph

    graph = open_graph(inputs.graph.folder)
    unknown = [id for id in config.relations if id not in {relation.id for relation in graph.relations}]
    if unknown:
        raise ValueError(
            f"quiz: the graph has no relation `{unknown[0]}`; `kepipe graph describe` lists them"
        )
    made = make_quiz(
        graph,
        config.templates,
        np.random.default_rng([work.seed, 23]),
        relations=config.relations,
        fewest=config.fewest,
        most=config.most,
        shares=(config.dev, config.test),
    )
    for split, questions in made.splits.items():
        with (work.out / f"{split}.jsonl").open("w", encoding="utf-8", newline="\n") as stream:
            for question in questions:
                place = asdict(question.mention)
                place.pop("score")
                record = {"id": question.id, "text": question.text, "mentions": [place]}
                stream.write(json.dumps({**record, "label": question.answer}, ensure_ascii=False) + "\n")
    answers = {question.answer for questions in made.splits.values() for question in questions}
    counts = {split: len(questions) for split, questions in made.splits.items()}
    work.log({"answers": len(answers), **counts})
    work.note(
        f"{sum(counts.values())} questions with {len(answers)} answers, such as: "
        f"{made.splits['train'][0].text} {made.splits['train'][0].answer}"
    )


QUIZ = Stage("quiz", 1, QuizInputs, QuizConfig, TaskData, quiz)
