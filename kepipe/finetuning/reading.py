"""Read a task's examples with their entity mentions."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from kepipe.finetuning.mention_finders import Source, make_finder, with_mentions
from kepipe.finetuning.settings import FinetuneConfig
from kepipe.finetuning.splits import Data, Splits, read_splits
from kepipe.finetuning.table import TASKS
from kepipe.flow.source_digests import digest_source
from kepipe.flow.stage import StageContext
from kg.problems import Problems


def read_examples(
    data: Data, config: FinetuneConfig, *, linker: Path | None, graph: Path | None, context: StageContext
) -> tuple[Splits, Source]:
    """The examples of each split with mentions, and the source of the mentions. `linker`, `graph`: folders.

    Raises ValueError if the configured source of mentions is not available.
    """
    problems = Problems(strict=data.strict)
    splits = read_splits(data, TASKS[config.task].read, context.seed, problems)
    for line in problems.account.lines():
        context.note(line)
    if problems:
        context.warn(problems.summary())
    counts = {split: len(examples) for split, examples in splits.items()}
    digest = digest_source(data.files()["train"])
    context.dataset(config.task, digest, counts | {"bad_lines": problems.count})
    source = _source(splits, config, linker, graph)
    if source in ("linker", "names"):
        finder = make_finder(linker if source == "linker" else None, graph, config.language)
        assert finder is not None
        splits = {split: with_mentions(examples, finder) for split, examples in splits.items()}
    elif source == "none":
        splits = {split: [replace(e, mentions=()) for e in examples] for split, examples in splits.items()}
    return splits, source


def _source(splits: Splits, config: FinetuneConfig, linker: Path | None, graph: Path | None) -> Source:
    """The configured source of mentions; for `auto` the first available one."""
    available: dict[Source, bool] = {
        "data": any(example.mentions for examples in splits.values() for example in examples),
        "linker": linker is not None,
        "names": graph is not None,
        "none": True,
    }
    if config.mentions == "auto":
        return next(source for source, is_available in available.items() if is_available)
    if not available[config.mentions]:
        raise ValueError(f"finetune: `mentions: {config.mentions}` needs data that has entity ids")
    return config.mentions
