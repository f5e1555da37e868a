"""A file that puts a task to a language model: questions of its own, or the data of a task of the table."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydantic import Field

from kepipe.config import ConfigError, Section, UserPath, read, validate
from kepipe.finetuning.examples import Example
from kepipe.finetuning.in_words import InWords, Word
from kepipe.finetuning.metrics import Metric, summarise
from kepipe.finetuning.splits import draw
from kepipe.finetuning.table import TASKS, TaskName
from kepipe.finetuning.task import Task
from kepipe.inference import prompt_task
from kepipe.inference.few_shot import Result
from kepipe.inference.prompt_task import Question
from kepipe.studies.intervals import Estimate
from kg.problems import Problems


class TaskInWords(Section):
    """The data of a task, put in words."""

    name: str
    """Name of the task."""
    task: TaskName | None
    """Which row of the table of tasks reads the data; null: JSON lines `{"text", "target"}`, the target to be
    written."""
    questions: UserPath
    """The file of what is asked."""
    examples: UserPath | None = None
    """The file of solved examples, from which those of a prompt are drawn."""
    words: dict[str, str] = Field(default_factory=dict)
    """Label → the word that stands for it; of others the label itself."""
    instruction: str | None = None
    """What to do, at the head of every prompt; `{labels}` stands for the words of all labels. None: the task's."""
    template: str | None = None
    """A question with its answer; it has to end with `{answer}`. None: the task's."""
    between: str = "\n\n"
    """What stands between instruction, examples and question."""
    max_questions: int | None = Field(None, ge=1)
    """Ask no more than so many, drawn by no seed: all models have the same."""
    longest_example: int | None = Field(None, ge=1)
    """Draw no solved example of more characters than this."""


@dataclass(frozen=True)
class Asked:
    """A task in words. `score`: what a model answered → the task's own metrics; none of a file of questions."""

    task: prompt_task.Task
    score: Callable[[Result], dict[str, Estimate]] = lambda _: {}


def read_asked(file: Path) -> Asked:
    """The task of a YAML or JSON file. Raises ConfigError with file and line; ValueError for data that is not the
    task's."""
    settings = read(file)
    if "task" not in settings.data:
        return Asked(prompt_task.read_task(file))
    return _of_data(file, validate(TaskInWords, {"name": file.stem, **settings.data}, settings))


def _of_data(file: Path, settings: TaskInWords) -> Asked:
    row = TASKS[settings.task or "text-to-text"]
    form = row.in_words
    if form is None:
        raise ConfigError(f"{file}: {settings.task} cannot be put in words: no row says how")
    questions = _examples(row, settings.questions)
    solved = [] if settings.examples is None else _examples(row, settings.examples)
    if settings.max_questions is not None:
        questions = draw(questions, settings.max_questions)
    if settings.longest_example is not None:
        solved = [one for one in solved if len(one.text) + len(one.second) <= settings.longest_example]

    def word(label: str) -> str:
        return settings.words.get(label, label.replace("_", " "))

    labels = () if form.written else row.output.labels({"questions": questions, "examples": solved})
    words = tuple(map(word, labels))
    if len(set(words)) < len(words):
        raise ConfigError(f"{file}: `words`: two labels have one word: {', '.join(words)}")
    put = _question(form, word)
    instruction = form.instruction if settings.instruction is None else settings.instruction
    task = prompt_task.Task(
        name=settings.name,
        instruction=instruction.replace("{labels}", ", ".join(words)),
        template=settings.template or form.template,
        between=settings.between,
        choices=words,
        examples=tuple(map(put, solved)),
        questions=tuple(map(put, questions)),
    )
    return Asked(task.with_choices(), _scorer(row, form, questions, labels, word))


def _examples(row: Task, file: Path) -> list[Example]:
    """The examples of a file. Raises ValueError for one without any, and at its first bad line."""
    found = list(row.read(file, Problems(strict=True)))
    if not found:
        raise ValueError(f"{file}: no example")
    return found


def _question(form: InWords, word: Word) -> Callable[[Example], Question]:
    def put(example: Example) -> Question:
        answers = (
            tuple(map(word, example.gold)) if form.written is None else (form.written.write(example, word),)
        )
        return Question(given=dict(form.given(example)), answer=answers)

    return put


def _scorer(
    row: Task, form: InWords, questions: Sequence[Example], labels: Sequence[str], word: Word
) -> Callable[[Result], dict[str, Estimate]]:
    """How answers are measured: as the task's answers are, the shares of the choices taken for probabilities."""

    def score(result: Result) -> dict[str, Estimate]:
        if form.written is not None:
            metrics: Mapping[str, Metric] = form.written.measure(questions, result.answers, word)
        else:
            shares = [np.exp(scores_K - np.logaddexp.reduce(scores_K))[None] for scores_K in result.scores]
            metrics = row.measure(questions, shares, labels)
        return summarise(metrics, seed=0)

    return score
