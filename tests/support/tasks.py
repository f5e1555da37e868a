"""Tiny tasks whose answers follow from a rule, and tiny models that can learn them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from kepipe.finetuning.table import TaskName
from kepipe.models.base import Base, build
from kepipe.models.folder import save
from kepipe.stages.artifacts import FineTuned, Model
from kepipe.stages.finetune import FINETUNE
from kepipe.tokenization.tokenizer import Tokenizer
from kepipe.tokenization.training import train_tokenizer
from tests.support.toy_training import EventRecorder, context_in

PEOPLE = ["ann", "bob", "cleo", "dan", "eve", "finn"]
CITIES = ["oslo", "lima", "cairo", "quito", "tunis", "accra"]
FILLER = ["the", "old", "day", "was", "long", "and", "we", "saw", "rain", "again"]
GOOD, BAD = ["fine", "lovely", "great"], ["awful", "poor", "dull"]


def sentence(rng: np.random.Generator, *words: str) -> list[str]:
    """The words in this order with random words between them."""
    tokens: list[str] = []
    for word in words:
        tokens += [*rng.choice(FILLER, rng.integers(0, 3)).tolist(), word]
    return [*tokens, *rng.choice(FILLER, rng.integers(1, 3)).tolist()]


def relation(rng: np.random.Generator, _: int) -> str:
    """Who owns whom depends on which of the two is the head, so the task requires entity markers."""
    left, right = rng.permutation(PEOPLE)[:2].tolist()
    words = sentence(rng, left, "owns", right)
    places, label = (words.index(left), words.index(right)), "owner"
    if rng.random() < 0.5:
        places, label = places[::-1], "owned"
    h, t = ({"pos": [place, place + 1], "id": f"Q-{words[place]}"} for place in places)
    return json.dumps({"token": words, "h": h, "t": t, "relation": label})


def typing(rng: np.random.Generator, _: int) -> str:
    name, types = (
        (rng.choice(PEOPLE), ["being", "person"]) if rng.random() < 0.5 else (rng.choice(CITIES), ["place"])
    )
    other = rng.choice([*PEOPLE, *CITIES])
    words = sentence(rng, str(other), "near", str(name))
    text = " ".join(words)
    start = text.index(
        f"near {' '.join(words[words.index('near') + 1 : words.index(str(name), words.index('near')) + 1])}"
    )
    start = text.index(str(name), start + 5)
    return json.dumps({"text": text, "start": start, "end": start + len(str(name)), "types": types})


def polarity(rng: np.random.Generator, _: int) -> str:
    good = rng.random() < 0.5
    return f"{int(good)}\t{' '.join(sentence(rng, str(rng.choice(GOOD if good else BAD))))}"


def pair(rng: np.random.Generator, _: int) -> str:
    """The label depends on the second text only; the first one contains misleading words."""
    good = rng.random() < 0.5
    first, second = (
        " ".join(sentence(rng, str(word)))
        for word in (rng.choice(GOOD + BAD), rng.choice(GOOD if good else BAD))
    )
    return f"{int(good)}\t{first}\t{second}"


def question(rng: np.random.Generator, number: int) -> str:
    """Four pairs per question, one of them right."""
    right = number % 4 == (number // 4) % 3
    first, second = (
        " ".join(sentence(rng, word)) for word in ("saw", str(rng.choice(GOOD if right else BAD)))
    )
    return f"q{number // 4}\t{int(right)}\t{first}\t{second}"


def tagged(rng: np.random.Generator, _: int) -> str:
    """Persons have a first and a last name, cities a single word."""
    full = f"{rng.choice(PEOPLE)} {rng.choice(GOOD)}"
    words = " ".join(sentence(rng, full, str(rng.choice(CITIES)), str(rng.choice(PEOPLE)))).split()
    kinds = {"B-CITY": CITIES, "B-PER": PEOPLE, "I-PER": GOOD}
    labels = [next((label for label, names in kinds.items() if word in names), "O") for word in words]
    return f"{' '.join(words)}\t{' '.join(labels)}"


def generation(rng: np.random.Generator, _: int) -> str:
    """The generated text depends on one word of the input."""
    good = bool(rng.integers(2))
    text = " ".join(sentence(rng, str(rng.choice(GOOD if good else BAD))))
    return f"{text}\t{'we saw a lovely day' if good else 'the rain was long'}"


def topics(rng: np.random.Generator, _: int) -> str:
    """Persons, cities, both or none."""
    kinds = {"person": PEOPLE, "place": CITIES}
    labels = [kind for kind in kinds if rng.random() < 0.5]
    words = sentence(rng, *(str(rng.choice(kinds[kind])) for kind in labels), "day")
    return json.dumps({"text": " ".join(words), "labels": labels})


def similarity(rng: np.random.Generator, _: int) -> str:
    """The number of positive words in the two texts."""
    positive = rng.integers(0, 2, 2)
    first, second = (" ".join(sentence(rng, str(rng.choice(GOOD if good else BAD)))) for good in positive)
    return f"{positive.sum() * 2.5}\t{first}\t{second}"


def question_answer(rng: np.random.Generator, _: int) -> str:
    """The full name in the text. One of four questions has no answer."""
    name, city = f"{rng.choice(PEOPLE)} {rng.choice(GOOD)}", str(rng.choice(CITIES))
    answerable = rng.random() < 0.75
    context = " ".join(sentence(rng, *((name, city) if answerable else (city,))))
    answers = [{"text": name, "answer_start": context.index(name)}] if answerable else []
    return json.dumps({"question": "owns", "context": context, "answers": answers})


KINDS: dict[TaskName, tuple[str, Callable[[np.random.Generator, int], str]]] = {
    "relations": ("", relation),
    "typing": ("", typing),
    "classification": ("label\ttext_a\n", polarity),
    "pairs": ("label\ttext_a\ttext_b\n", pair),
    "ranking": ("qid\tlabel\ttext_a\ttext_b\n", question),
    "tagging": ("text_a\tlabel\n", tagged),
    "text-to-text": ("text\ttarget\n", generation),
    "multi-label": ("", topics),
    "similarity": ("score\ttext_a\ttext_b\n", similarity),
    "question-answering": ("", question_answer),
}


def write_task(folder: Path, task: TaskName, train: int = 400, test: int = 100) -> dict[str, str]:
    """Write the files of a task; returns the settings `data`."""
    folder.mkdir(parents=True, exist_ok=True)
    header, make = KINDS[task]
    data = {}
    for seed, (split, count) in enumerate({"train": train, "dev": test, "test": test}.items()):
        rng = np.random.default_rng(seed)
        file = folder / f"{split}.{'tsv' if header else 'jsonl'}"
        file.write_text(header + "".join(make(rng, number) + "\n" for number in range(count)))
        data[split] = str(file)
    return data


def tokenizer() -> Tokenizer:
    """WordPiece over the words of all tasks, with sentinels."""
    text = " ".join([*PEOPLE, *CITIES, *FILLER, *GOOD, *BAD, "owns", "near"])
    return train_tokenizer([text] * 4, "wordpiece", 320)


def base_model(folder: Path, family: str = "bert", **sizes: Any) -> Model:
    """A newly initialised tiny model in a folder, as from an earlier stage."""
    folder.mkdir(parents=True, exist_ok=True)
    word_tokenizer = tokenizer()
    word_tokenizer.save(folder)
    base = Base.model_validate({"family": family, "layers": 2, "hidden": 32, "heads": 2, **sizes})
    special = {"pad": word_tokenizer.pad, "sep": word_tokenizer.sep}
    save(folder, build(base, word_tokenizer.vocab_size, 1, special=special), tokenizer=folder)
    return Model(folder, "digest", name="pretrain")


SETTINGS: dict[str, Any] = {
    "epochs": 8,
    "learning_rate": 5e-3,
    "batch_tokens": 512,
    "length": 32,
    "dropout": 0.0,
    "precision": "fp32",
}


def finetune(
    folder: Path,
    start: Model,
    task: TaskName,
    data: dict[str, str],
    recorder: EventRecorder | None = None,
    inputs: Any = None,
    **changes: Any,
) -> FineTuned:
    """The output of the stage in `folder`."""
    context = context_in(folder, recorder)
    config = FINETUNE.config.model_validate(SETTINGS | {"task": task, "data": data} | changes)
    FINETUNE.run(FINETUNE.inputs(start=start, **(inputs or {})), config, context)
    return FineTuned(context.out, "")
