"""Few-shot tasks from files: prompts and scores by hand, answers of a real small model."""

import numpy as np
import pytest

from kepipe.config import ConfigError
from kepipe.inference.few_shot import Result, choice_scores, draw_examples, evaluate, same, split
from kepipe.inference.prompt_task import read_task
from kepipe.models.base import Base, build
from kepipe.models.lm_scorer import LMScorer
from kepipe.tokenization.training import train_tokenizer

TASK = """
instruction: Name the planet.
template: "Moon: {question}\\nPlanet: {answer}"
choices: [Mars, Jupiter]
examples:
  - {question: Phobos, answer: Mars}
  - {question: Io, answer: Jupiter}
questions:
  - {question: Deimos, answer: Mars}
  - {question: Europa, answer: Jupiter}
  - {question: Ceres, answer: "none", choices: [none, some]}
"""


@pytest.fixture
def task(tmp_path):
    (tmp_path / "moons.yaml").write_text(TASK)
    return read_task(tmp_path / "moons.yaml")


@pytest.fixture(scope="module")
def scorer():
    text = "Moon: Phobos\nPlanet: Mars\n\nMoon: Io\nPlanet: Jupiter none some Deimos Europa Ceres"
    tokenizer = train_tokenizer([text] * 4, "bpe", 420)
    model = build(Base(family="gpt2", layers=2, hidden=32, heads=2), tokenizer.vocab_size, 1)
    return LMScorer(model.eval(), tokenizer, "append")


def test_few_shot_prompt_by_hand(task):
    examples = draw_examples(task, 2, np.random.default_rng(0))
    solved = {"Phobos": "Mars", "Io": "Jupiter"}
    shown = "\n\n".join(f"Moon: {e.question}\nPlanet: {solved[e.question]}" for e in examples)
    wanted = f"Name the planet.\n\n{shown}\n\nMoon: Deimos\nPlanet:"
    assert task.prompt(task.questions[0], examples) == wanted
    assert task.answer_after("Mars") == " Mars"
    assert task.name == "moons"


def test_fewer_examples_are_a_prefix_of_more(task):
    one, two = (draw_examples(task, shots, np.random.default_rng(3)) for shots in (1, 2))
    assert two[:1] == one
    with pytest.raises(ValueError, match="3 examples were requested, but the task has 2"):
        draw_examples(task, 3, np.random.default_rng(0))


def test_choice_scores_by_hand():
    likelihoods = [np.array([-1.0, -3.0]), np.array([-2.5])]
    choices = ("Mars", "Io")
    assert choice_scores(likelihoods, choices, "tokens").tolist() == [-2.0, -2.5]
    assert choice_scores(likelihoods, choices, "bytes").tolist() == [-1.0, -1.25]
    assert choice_scores(likelihoods, choices, "none").tolist() == [-4.0, -2.5]


def test_choice_is_the_likeliest_for_its_question(scorer, task):
    examples = draw_examples(task, 1, np.random.default_rng(0))
    result = evaluate(scorer, task, examples)
    expected = []
    for question in task.questions:
        pairs = [split(scorer, task.prompt(question, examples), f" {choice}") for choice in question.choices]
        alone = [scorer.log_likelihoods([prompt], [0], [target])[0] for prompt, target in pairs]
        expected.append(question.choices[int(choice_scores(alone, question.choices, "tokens").argmax())])
    assert result.answers == tuple(expected)
    right = [answer in question.answers for answer, question in zip(expected, task.questions, strict=True)]
    assert result.right.tolist() == [float(value) for value in right]


def test_answer_tokens_are_split_from_prompt_and_answer_together(scorer):
    prompt, answer = split(scorer, "Planet:", " Mars")
    assert scorer.tokenizer.decode(prompt) == "Planet:"
    assert scorer.tokenizer.decode(answer) == " Mars"


def test_free_answer_is_the_first_generated_line(scorer, tmp_path):
    (tmp_path / "open.yaml").write_text("questions:\n  - {question: Deimos, answer: [Mars, planet Mars]}\n")
    task = read_task(tmp_path / "open.yaml")
    result = evaluate(scorer, task, (), limit=4)
    assert len(result.answers) == 1
    assert "\n" not in result.answers[0]
    assert same("  the  Moon. ", "The Moon")
    assert not same("Moons", "Moon")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("questions: []", "at least 1 item"),
        ("template: '{answer} is it'\nquestions: [{question: a, answer: b}]", "has to end with {answer}"),
        ("choices: [a]\nquestions: [{question: a, answer: b}]", "question 1: the answer 'b' is none of a"),
        ("template: '{premise} {answer}'\nquestions: [{question: a, answer: b}]", "placeholder 'premise' is not given"),
        ("questions:\n  - {question: a, answer: no}", "YAML reads yes and no"),
        ("questions:\n  - {question: a, answr: b}", "did you mean `answer`"),
    ],
)  # fmt: skip
def test_invalid_task_file_is_rejected(tmp_path, text, message):
    (tmp_path / "task.yaml").write_text(text)
    with pytest.raises(ConfigError, match=message):
        read_task(tmp_path / "task.yaml")


def test_wilson_interval_by_hand():
    none = Result(0, (), np.zeros(8)).accuracy()
    assert (none.value, none.low) == (0, 0)
    assert none.high == pytest.approx(3.8415 / 11.8415, abs=1e-4)  # z² / (n + z²)
    half = Result(0, (), np.array([0.0, 1.0] * 5)).accuracy()
    assert (half.low, half.high) == pytest.approx((0.2366, 0.7634), abs=1e-4)
