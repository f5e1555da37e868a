"""A prompt task in a file: an instruction, solved examples and questions, with or without choices."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import Field, field_validator, model_validator

from kepipe.config import ConfigError, Section, read, validate

ANSWER = "{answer}"


class Question(Section):
    """A question. Its keys are inserted into the template: `{question}`, or any key of `given`."""

    question: str = ""
    """The text for `{question}`."""
    given: dict[str, str] = Field(default_factory=dict)
    """Texts for other placeholders of the template: `{premise}`, …"""
    choices: tuple[str, ...] = ()
    """The possible answers; empty: those of the task."""
    answer: str | tuple[str, ...]
    """The right answer, or several; with choices, one of them."""

    @property
    def answers(self) -> tuple[str, ...]:
        """All right answers; the first is used in examples."""
        return (self.answer,) if isinstance(self.answer, str) else self.answer

    @field_validator("answer", mode="before")
    @classmethod
    def _as_text(cls, value: Any) -> Any:
        """Rejects answers that YAML reads as a truth value, and converts numbers to text."""
        if isinstance(value, bool):
            raise ValueError("write the answer in quotes: YAML reads yes and no as true and false")
        return str(value) if isinstance(value, int | float) else value

    @model_validator(mode="after")
    def _answered(self) -> Question:
        if not self.answers or not all(self.answers):
            raise ValueError("an answer is needed")
        return self


class Task(Section):
    """A task: its questions and the template of prompts."""

    name: str
    """Name of the task."""
    instruction: str = ""
    """The instruction at the beginning of every prompt."""
    template: str = "Question: {question}\nAnswer: {answer}"
    """A question with its answer; has to end with `{answer}`."""
    between: str = "\n\n"
    """Separator between instruction, examples and question."""
    choices: tuple[str, ...] = ()
    """The possible answers, if they are the same for all questions."""
    examples: tuple[Question, ...] = ()
    """Solved examples, from which those of a prompt are drawn."""
    questions: tuple[Question, ...] = Field(min_length=1)
    """The questions on which accuracy is measured."""

    @model_validator(mode="after")
    def _fits(self) -> Task:
        if not self.template.endswith(ANSWER) or self.template.count(ANSWER) != 1:
            raise ValueError("the template has to end with {answer}, and to contain it once")
        for kind, several in (("example", self.examples), ("question", self.questions)):
            for number, question in enumerate(several, 1):
                self._check(f"{kind} {number}", question)
        if len({bool(self.choices_of(question)) for question in self.questions}) > 1:
            raise ValueError("either all questions have choices, or none has")
        return self

    def _check(self, name: str, question: Question) -> None:
        choices = self.choices_of(question)
        if choices and not set(question.answers) <= set(choices):
            raise ValueError(f"{name}: the answer {question.answers[0]!r} is none of {', '.join(choices)}")
        try:
            self._fill(question, "")
        except (KeyError, IndexError, ValueError) as error:
            raise ValueError(f"{name}: the template's placeholder {error} is not given") from None

    def choices_of(self, question: Question) -> tuple[str, ...]:
        """The question's own choices, otherwise the task's."""
        return question.choices or self.choices

    def with_choices(self) -> Task:
        """The task with its choices copied to every question."""
        asked = tuple(q.model_copy(update={"choices": self.choices_of(q)}) for q in self.questions)
        return self.model_copy(update={"questions": asked})

    def prompt(self, question: Question, examples: Sequence[Question]) -> str:
        """Instruction, examples and question up to the answer, without trailing white space."""
        solved = [self._fill(example, example.answers[0]) for example in examples]
        parts = [self.instruction] if self.instruction else []
        return self.between.join([*parts, *solved, self._fill(question, "")]).rstrip()

    def answer_after(self, answer: str) -> str:
        """An answer with the white space that precedes it in the template."""
        before = self.template.removesuffix(ANSWER)
        return before[len(before.rstrip()) :] + answer

    def _fill(self, question: Question, answer: str) -> str:
        return self.template.format_map({"question": question.question, **question.given, "answer": answer})


def read_task(file: Path) -> Task:
    """Read a task from YAML or JSON. Raises ConfigError with file and line."""
    settings = read(file)
    task = validate(Task, {"name": file.stem, **settings.data}, settings)
    if not task.questions:
        raise ConfigError(f"{file}: a task needs questions")
    return task.with_choices()
