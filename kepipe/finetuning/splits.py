"""A task's data: which files, which examples train, choose and test, and how few may train."""

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
"""Name of a part of a task's data ("train", "dev", "test") → its examples."""


def _number(value: Any) -> Any:
    return None if value == "all" else value


Size = Annotated[Annotated[int, Field(ge=1)] | None, BeforeValidator(_number)]
"""A number of examples; None, or `all`: all there are."""


class Data(Section):
    """The files of a task. Their content decides, not where they lie."""

    train: UserPath = Field(json_schema_extra={"in_key": False})
    """Examples to train on."""
    dev: UserPath | None = Field(None, json_schema_extra={"in_key": False})
    """Examples by which the best epoch is chosen; none: a share of `train` that is not trained on."""
    test: UserPath | None = Field(None, json_schema_extra={"in_key": False})
    """Examples that nothing is chosen by, measured once at the end."""
    dev_share: float = Field(0.1, gt=0, lt=1)
    """Share of `train` that stands in for `dev`, chosen by a hash of the ids (of the questions): it never moves."""
    max_train: Size | tuple[Size, ...] = None
    """Train on no more examples than this, drawn by the seed; fewer are among the more. A list, such as `[100, 300,
    all]`, stands for a stage with each number, `finetune-100` and so on: a learning curve."""
    max_dev: int | None = Field(None, ge=1)
    """Choose the epoch by no more examples than this, drawn by no seed: all runs have the same."""
    max_test: int | None = Field(None, ge=1)
    """Measure on no more examples than this, drawn likewise."""
    strict: bool = False
    """Refuse bad lines instead of leaving them out and counting them."""

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
        """Split → file, of those that are given."""
        given = {"train": self.train, "dev": self.dev, "test": self.test}
        return {split: file for split, file in given.items() if file is not None}


def read_splits(data: Data, read: Reader, seed: int, problems: Problems) -> dict[str, list[Example]]:
    """Examples of "train", "dev" and, where there is one, "test". Raises ValueError for a split without any."""
    splits = {split: list(read(file, problems)) for split, file in data.files().items()}
    if "dev" not in splits:
        train = splits["train"]
        splits["dev"] = [example for example in train if _stands_in(example, data.dev_share)]
        splits["train"] = [example for example in train if not _stands_in(example, data.dev_share)]
    if isinstance(data.max_train, tuple):
        raise ValueError("`max_train`: a list of numbers stands for several stages, in a pipeline file alone")
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
    """So many examples in their order, the same with every seed; of the pairs of one question all or none."""
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


def _stands_in(example: Example, share: float) -> bool:
    from kepipe.data.document_files import held_out

    return held_out(example.group or f"{example.id} {example.text}", share)
