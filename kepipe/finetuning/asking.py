"""Prompted tasks for a language model, from a file with its own questions or from the data of a task of the table."""

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
    """Settings of a prompted task that uses the data of a task of the table."""

    name: str
    """Name of the task."""
    task: TaskName | None
    """The task of the table that reads the data; null: JSON lines `{"text", "target"}`, where the model writes the
    target."""
    questions: UserPath
    """The file of the questions."""
    examples: UserPath | None = None
    """The file from which the solved examples of a prompt are drawn."""
    words: dict[str, str] = Field(default_factory=dict)
    """Label → its word in the prompt; labels that are not listed are used as they are."""
    instruction: str | None = None
    """The instruction at the start of every prompt; `{labels}` is replaced by the words of all labels. None: the
    task's."""
    template: str | None = None
    """The template of a question with its answer; must end with `{answer}`. None: the task's."""
    between: str = "\n\n"
    """The separator between instruction, examples and question."""
    max_questions: int | None = Field(None, ge=1)
    """Ask at most this many questions, drawn independently of the seed: all models get the same."""
    longest_example: int | None = Field(None, ge=1)
    """The most characters of a solved example."""


@dataclass(frozen=True)
class PromptedTask:
    """A prompted task. `score`: answers of the model → the task's metrics; no metrics for a file of questions."""

    task: prompt_task.Task
    score: Callable[[Result], dict[str, Estimate]] = lambda _: {}


def read_prompted_task(file: Path) -> PromptedTask:
    """The task of a YAML or JSON file. Raises ConfigError with file and line; ValueError for data that the task cannot
    read."""
    settings = read(file)
    if "task" not in settings.data:
        return PromptedTask(prompt_task.read_task(file))
    return _of_data(file, validate(TaskInWords, {"name": file.stem, **settings.data}, settings))


def _of_data(file: Path, settings: TaskInWords) -> PromptedTask:
    row = TASKS[settings.task or "text-to-text"]
    form = row.in_words
    if form is None:
        raise ConfigError(f"{file}: {settings.task} has no prompt: a language model cannot be asked it")
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
        raise ConfigError(f"{file}: `words`: two labels have the same word: {', '.join(words)}")
    to_question = _question(form, word)
    instruction = form.instruction if settings.instruction is None else settings.instruction
    task = prompt_task.Task(
        name=settings.name,
        instruction=instruction.replace("{labels}", ", ".join(words)),
        template=settings.template or form.template,
        between=settings.between,
        choices=words,
        examples=tuple(map(to_question, solved)),
        questions=tuple(map(to_question, questions)),
    )
    return PromptedTask(task.with_choices(), _scorer(row, form, questions, labels, word))


def _examples(row: Task, file: Path) -> list[Example]:
    """The examples of a file. Raises ValueError for a file without examples, and for its first bad line."""
    examples = list(row.read(file, Problems(strict=True)))
    if not examples:
        raise ValueError(f"{file}: no example")
    return examples


def _question(form: InWords, word: Word) -> Callable[[Example], Question]:
    def to_question(example: Example) -> Question:
        answers = (
            tuple(map(word, example.gold)) if form.written is None else (form.written.write(example, word),)
        )
        return Question(given=dict(form.given(example)), answer=answers)

    return to_question


def _scorer(
    row: Task, form: InWords, questions: Sequence[Example], labels: Sequence[str], word: Word
) -> Callable[[Result], dict[str, Estimate]]:
    """The scorer of the task's metrics; softmax scores of the choices serve as label probabilities."""

    def score(result: Result) -> dict[str, Estimate]:
        if form.written is not None:
            metrics: Mapping[str, Metric] = form.written.measure(questions, result.answers, word)
        else:
            shares = [np.exp(scores_K - np.logaddexp.reduce(scores_K))[None] for scores_K in result.scores]
            metrics = row.measure(questions, shares, labels)
        return summarise(metrics, seed=0)

    return score
