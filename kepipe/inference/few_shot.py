"""Zero-, one- and few-shot evaluation of language models with prompts (Brown et al. 2020, §2.4 and §3).

A prompt consists of an instruction, solved examples and a question. If there are choices, the answer is the one with
the highest length-normalised log-likelihood; otherwise the model generates an answer, which has to match exactly.
"""

from __future__ import annotations

import string
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from kepipe.arrays import Floats, Ints
from kepipe.inference.calibration import calibrate, without_content
from kepipe.inference.normalisation import LENGTHS, Normalise
from kepipe.inference.prompt_facts import PromptFacts
from kepipe.inference.prompt_task import Question, Task
from kepipe.models.prompting import PromptTokens, generate, log_likelihoods
from kepipe.models.protocols import LanguageModel, TextGenerator
from kepipe.studies.intervals import Estimate

TOKENS_PER_BATCH = 4096


@dataclass(frozen=True)
class Result:
    """The answers of a model for some number of examples: `answers` as text, `right` 0 or 1, each [questions].
    `scores`: for each question's choices, float [K]; empty if the model generated the answers."""

    shots: int
    answers: tuple[str, ...]
    right: Floats
    scores: tuple[Floats, ...] = ()

    def accuracy(self) -> Estimate:
        """Share of right answers, with Wilson's 95% interval, which is also valid if there are few questions or all
        answers are right or all wrong.

        Wilson 1927, as in Brown et al. 2001, eq. 4: questions are drawn independently of one another.
        """
        number, share, z = len(self.right), float(self.right.mean()), 1.959964
        middle = (share + z**2 / (2 * number)) / (1 + z**2 / number)
        reach = z / (1 + z**2 / number) * np.sqrt(share * (1 - share) / number + z**2 / (4 * number**2))
        return Estimate(share, max(0.0, middle - reach), min(1.0, middle + reach), number, number)


def draw_examples(task: Task, shots: int, rng: np.random.Generator) -> tuple[Question, ...]:
    """Draw `shots` of the task's examples. With the same seed, a smaller draw is a prefix of a larger one.

    Raises ValueError if the task has fewer examples.
    """
    if shots > len(task.examples):
        raise ValueError(
            f"{task.name}: {shots} examples were requested, but the task has {len(task.examples)}; add examples or "
            "choose fewer"
        )
    return tuple(task.examples[place] for place in rng.permutation(len(task.examples))[:shots])


def evaluate(
    model: LanguageModel,
    task: Task,
    examples: Sequence[Question],
    *,
    normalise: Normalise = "tokens",
    limit: int = 16,
    calibrated: bool = False,
    facts: PromptFacts | None = None,
    tick: Callable[[int], None] = lambda _: None,
) -> Result:
    """Answer every question of the task after these examples. `limit`: maximum number of generated tokens.
    `calibrated`: whether contextual calibration is applied (`kepipe.inference.calibration`). `facts`: inserts facts
    about the entities in prompts before each prompt; None: none.

    Raises ValueError if a prompt exceeds the model's positions, and for questions without choices if the model cannot
    generate text or calibration was requested.
    """
    scores: list[Floats] = []
    if task.questions[0].choices:
        scores = _choice_scores(model, task, examples, normalise, facts, tick)
        if calibrated:
            empty = _choice_scores(model, without_content(task), examples, normalise, None, lambda _: None)
            scores = calibrate(scores, task, empty)
        pairs = zip(task.questions, scores, strict=True)
        answers = [question.choices[int(scores_K.argmax())] for question, scores_K in pairs]
    elif calibrated:
        raise ValueError(f"{task.name}: calibration requires `choices`, not generated answers")
    elif isinstance(model, TextGenerator):
        answers = _write(model, task, examples, limit, facts, tick)
    else:
        raise ValueError(f"{task.name}: the model does not generate text: give the questions `choices`")
    right = [
        any(same(answer, wanted) for wanted in question.answers)
        for answer, question in zip(answers, task.questions, strict=True)
    ]
    return Result(len(examples), tuple(answers), np.array(right, np.float64), tuple(scores))


def same(answer: str, wanted: str) -> bool:
    """Exact match up to case, white space, and punctuation at the ends."""
    ours, theirs = (
        " ".join(text.casefold().split()).strip(string.punctuation + " ") for text in (answer, wanted)
    )
    return ours == theirs


def choice_scores(likelihoods: Sequence[Floats], choices: Sequence[str], normalise: Normalise) -> Floats:
    """The score of each of K choices, float [K]: the sum of log-likelihoods, divided by the number of tokens, the
    number of bytes, or not at all."""
    sums_K = np.array([values.sum() for values in likelihoods])
    length, pairs = LENGTHS[normalise], zip(likelihoods, choices, strict=True)
    scores_K: Floats = sums_K / np.array([length(len(values), choice) for values, choice in pairs])
    return scores_K


def _choice_scores(
    model: LanguageModel,
    task: Task,
    examples: Sequence[Question],
    normalise: Normalise,
    facts: PromptFacts | None,
    tick: Callable[[int], None],
) -> list[Floats]:
    """The scores of each question's K choices, float [K] each."""
    scores: list[Floats] = []
    for questions in _batches(model, task, examples):
        pairs = [
            (task.prompt(question, examples), choice) for question in questions for choice in question.choices
        ]
        cut = [split(model, prompt, task.answer_after(choice)) for prompt, choice in pairs]
        # A question's choices share their prompt, which is encoded once.
        read = {prompt.tobytes(): (text, prompt) for (text, _), (prompt, _) in zip(pairs, cut, strict=True)}
        places = {key: place for place, key in enumerate(read)}
        rows = [places[prompt.tobytes()] for prompt, _ in cut]
        targets = [target for _, target in cut]
        texts, prompts = zip(*read.values(), strict=True)
        found_NU = log_likelihoods(
            model, _informed(facts, texts, prompts, max(map(len, targets))), rows, targets
        )
        found = iter([values[: len(target)] for values, target in zip(found_NU, targets, strict=True)])
        for question in questions:
            likelihoods = [next(found) for _ in question.choices]
            scores.append(choice_scores(likelihoods, question.choices, normalise))
        tick(len(questions))
    return scores


def split(model: LanguageModel, prompt: str, answer: str) -> tuple[Ints, Ints]:
    """Tokens of the prompt and of the answer after it, tokenised together.

    A token that spans the boundary belongs to the answer.
    """
    encoded = model.tokenizer.encode([prompt + answer])
    first = int(np.searchsorted(encoded.ends, len(prompt), side="right"))
    if first == len(encoded.tokens):
        raise ValueError(f"the answer {answer!r} has no token of its own in this vocabulary")
    return encoded.tokens[:first], encoded.tokens[first:]


def _informed(
    facts: PromptFacts | None, texts: Sequence[str], prompts: Sequence[Ints], room: int
) -> Sequence[PromptTokens]:
    """The prompts, with facts inserted if `facts` is given."""
    return prompts if facts is None else facts.before(texts, prompts, room)


def _write(
    model: TextGenerator,
    task: Task,
    examples: Sequence[Question],
    limit: int,
    facts: PromptFacts | None,
    tick: Callable[[int], None],
) -> list[str]:
    """The generated answer to each question, up to the end of the line."""
    answers = []
    for questions in _batches(model, task, examples):
        texts = [task.prompt(question, examples) for question in questions]
        encoded = model.tokenizer.encode(texts)
        prompts = np.split(encoded.tokens, np.cumsum(encoded.lengths)[:-1])
        for tokens_N in generate(model, _informed(facts, texts, prompts, limit), limit=limit):
            lines = model.tokenizer.decode(tokens_N.tolist()).strip().splitlines()
            answers.append(lines[0].strip() if lines else "")
        tick(len(questions))
    return answers


def _batches(model: LanguageModel, task: Task, examples: Sequence[Question]) -> list[list[Question]]:
    """Batches of questions in their order, with about TOKENS_PER_BATCH tokens each."""
    lengths = model.tokenizer.encode([task.prompt(question, examples) for question in task.questions]).lengths
    batches: list[list[Question]] = [[]]
    widest = 0
    for question, length in zip(task.questions, lengths.tolist(), strict=True):
        rows = sum(max(1, len(other.choices)) for other in [*batches[-1], question])
        if batches[-1] and rows * max(widest, length) > TOKENS_PER_BATCH:
            batches.append([])
            widest = 0
        batches[-1].append(question)
        widest = max(widest, length)
    return batches
