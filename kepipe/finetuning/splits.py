"""A task's data: its files, the train, dev and test splits, and subsampling."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import BeforeValidator, Field, field_validator

from kepipe.config import Section, UserPath
from kepipe.finetuning.examples import Example, Reader
from kg.problems import Problems

Splits = Mapping[str, Sequence[Example]]
"""Name of a split ("train", "dev", "test") → its examples."""


def _number(value: Any) -> Any:
    return None if value == "all" else value


Size = Annotated[Annotated[int, Field(ge=1)] | None, BeforeValidator(_number)]
"""A number of examples; None, or `all`: all of them."""


class Data(Section):
    """The files of a task. The cache key depends on their content, not on their paths."""

    train: UserPath = Field(json_schema_extra={"in_key": False})
    """Examples to train on."""
    dev: UserPath | None = Field(None, json_schema_extra={"in_key": False})
    """Examples for choosing the best epoch; none: a share of `train` is held out."""
    test: UserPath | None = Field(None, json_schema_extra={"in_key": False})
    """Examples for the final evaluation, never used to choose anything."""
    dev_share: float = Field(0.1, gt=0, lt=1)
    """Share of `train` that is held out as `dev`, chosen by a hash of the ids (of the questions), so it is stable."""
    max_train: Size | tuple[Size, ...] = None
    """Train on at most this many examples, drawn by the seed; a smaller sample is a subset of a larger one. A list,
    such as `[100, 300, all]`, makes one stage per number, `finetune-100` and so on: a learning curve."""
    max_dev: int | None = Field(None, ge=1)
    """Use at most this many dev examples, drawn independently of the seed: all runs have the same."""
    max_test: int | None = Field(None, ge=1)
    """Use at most this many test examples, drawn likewise."""
    strict: bool = False
    """Raise an error for bad lines instead of skipping and counting them."""

    @field_validator("max_train")
    @classmethod
    def _grows(cls, sizes: Any) -> Any:
        if isinstance(sizes, tuple):
            numbers = [np.inf if size is None else size for size in sizes]
            if not numbers or numbers != sorted(set(numbers)):
                raise ValueError(
                    "expected numbers in rising order, `all` at the end, such as [100, 300, all]"
                )
        return sizes

    def files(self) -> dict[str, Path]:
        """Split → file, for the given splits."""
        given = {"train": self.train, "dev": self.dev, "test": self.test}
        return {split: file for split, file in given.items() if file is not None}


def read_splits(data: Data, read: Reader, seed: int, problems: Problems) -> dict[str, list[Example]]:
    """Examples of "train", "dev" and, if given, "test". Raises ValueError for a split without examples."""
    splits = {split: list(read(file, problems)) for split, file in data.files().items()}
    if "dev" not in splits:
        train = splits["train"]
        splits["dev"] = [example for example in train if _is_held_out(example, data.dev_share)]
        splits["train"] = [example for example in train if not _is_held_out(example, data.dev_share)]
    if isinstance(data.max_train, tuple):
        raise ValueError(
            "`max_train`: a list of numbers makes several stages and is only valid in a pipeline file"
        )
    if data.max_train is not None:
        train = splits["train"]
        drawn = np.random.default_rng([seed, 17]).permutation(len(train))[: data.max_train]
        splits["train"] = [train[place] for place in np.sort(drawn).tolist()]
    for split, most in {"dev": data.max_dev, "test": data.max_test}.items():
        if most is not None and split in splits:
            splits[split] = draw(splits[split], most)
    for split, examples in splits.items():
        if not examples:
            file = data.files().get(split, data.train)
            raise ValueError(f"{file}: no example for `{split}`. {problems.summary()}".rstrip())
    return {split: splits[split] for split in ("train", "dev", "test") if split in splits}


def draw(examples: Sequence[Example], most: int) -> list[Example]:
    """At most `most` examples in their order, the same for every seed; pairs of one question are kept or dropped
    together."""
    questions = [example.group or str(place) for place, example in enumerate(examples)]
    sizes = Counter(questions)
    names = list(sizes)
    chosen: set[str] = set()
    left = most
    for at in np.random.default_rng(18).permutation(len(names)).tolist():
        if sizes[names[at]] <= left:
            chosen.add(names[at])
            left -= sizes[names[at]]
    return [example for example, question in zip(examples, questions, strict=True) if question in chosen]


def _is_held_out(example: Example, share: float) -> bool:
    from kepipe.data.document_files import held_out

    return held_out(example.group or f"{example.id} {example.text}", share)
