"""Checks of a task's files before training."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

from kepipe.data.script import language_of
from kepipe.finetuning.examples import Example
from kepipe.finetuning.label_output import LabelOutput
from kepipe.finetuning.settings import FinetuneConfig
from kepipe.finetuning.table import TASKS
from kg.problems import Problems

MAX_EXAMPLES = 20_000
"""Only the first examples of a file are checked, at most this many."""
OVERLAP = 0.01
"""An overlap with the training data is reported above this share of a split: a few short texts repeat anywhere."""


def inspect(config: FinetuneConfig) -> Iterator[str]:
    """Warnings about the files in the settings, one sentence each."""
    files = {} if config.data is None else config.data.files()
    found: dict[str, list[Example]] = {}
    for split, file in files.items():
        problems = Problems()
        try:
            found[split] = list(islice(TASKS[config.task].read(file, problems), MAX_EXAMPLES))
        except (ValueError, OSError) as reason:
            yield f"`data.{split}`: {reason}"
            continue
        if not found[split]:
            yield f"`data.{split}`: {file} has no example of {config.task}. {problems.summary()}".rstrip()
        elif problems.count > len(found[split]) / 10:
            yield f"`data.{split}`: {problems.summary()}"
    train = found.pop("train", [])
    language = language_of(example.text for example in train[:200])
    if language not in (None, config.language) and config.knowledge:
        yield f"`language: {config.language}`, but the text of {files['train']} looks like `{language}`"
    for split, examples in found.items():
        chosen = isinstance(TASKS[config.task].output, LabelOutput)
        yield from _against(train, split, examples, files[split], files["train"], chosen=chosen)


def _against(
    train: Sequence[Example],
    split: str,
    examples: Sequence[Example],
    file: Path,
    train_file: Path,
    *,
    chosen: bool,
) -> Iterator[str]:
    """Warnings about a dev or test split, compared with the training data. `chosen`: whether the task has a label
    set."""
    if not train or not examples:
        return
    seen = {(example.text, example.second, example.spans) for example in train}
    shared = sum((example.text, example.second, example.spans) in seen for example in examples)
    if shared == len(examples):
        yield (
            f"`data.{split}`: all {shared:,} examples of {file} are also in {train_file}: scores on them measure "
            "memorisation"
        )
    elif shared > OVERLAP * len(examples):
        yield (
            f"`data.{split}`: {shared:,} of {len(examples):,} examples of {file} are also in {train_file}: scores are "
            "too optimistic"
        )
    known = {label for example in train for label in example.labels or ()}
    unknown = sorted({label for example in examples for label in example.labels or ()} - known)
    if unknown and len(train) < MAX_EXAMPLES and chosen:
        listed = ", ".join(map(repr, unknown[:5])) + (", …" if len(unknown) > 5 else "")
        yield f"`data.{split}`: labels that are not in the training data: {listed}"
