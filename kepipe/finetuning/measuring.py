"""Encoding of a task's splits, and evaluation of a model on `dev` and `test`."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from itertools import chain
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from kepipe.finetuning.class_weights import label_weights
from kepipe.finetuning.collator import TaskCollator
from kepipe.finetuning.encoding import TruncationStats
from kepipe.finetuning.evaluation import answers, by_example, row_answers
from kepipe.finetuning.examples import Example
from kepipe.finetuning.fine_tuned import FineTunedModel
from kepipe.finetuning.label_output import LabelOutput
from kepipe.finetuning.metrics import summarise
from kepipe.finetuning.output import Answer, Calibrates, LossSettings
from kepipe.finetuning.read_positions import count_cut_off
from kepipe.finetuning.records import records
from kepipe.finetuning.rows import Row
from kepipe.finetuning.settings import FinetuneConfig
from kepipe.finetuning.slices import SliceName, halves
from kepipe.finetuning.splits import Splits
from kepipe.flow.stage import StageContext
from kepipe.studies.scores import FILE, MODEL, Metrics, Scores, write_scores

ROWS = 256
"""Rows that are collated at a time to count cut-off tokens."""


def _asked(example: Example) -> dict[str, Any]:
    """The input of an example: its text, the second text of a pair, and the spans in question."""
    second = {"second": example.second} if example.second else {}
    return {"text": example.text, **second, **({"asked": example.spans} if example.spans else {})}


def encode(task_model: FineTunedModel, splits: Splits, context: StageContext) -> dict[str, list[Row]]:
    """The rows of each split with gold labels; truncation is logged and reported."""
    stats = TruncationStats()
    rows = {
        split: task_model.spec.row.output.encode(
            encoded := task_model.rows(examples, stats),
            [examples[row.example] for row in encoded],
            task_model.collator.answers,
        )
        for split, examples in splits.items()
    }
    stats.read_cut_off = sum(cut_off(split, task_model.collator) for split in rows.values())
    context.log({name: float(count) for name, count in vars(stats).items()})
    if stats.cut:
        lost = f"; {stats.words_cut:,} words are lost and count as missed" if stats.words_cut else ""
        context.warn(f"{stats.cut:,} of {stats.rows:,} rows are longer than `length` and are truncated{lost}")
    if stats.windows:
        context.note(
            f"long texts are split into windows: {stats.windows:,} more rows than texts; consecutive windows share "
            f"{task_model.row_format.overlap} tokens"
        )
    settings = task_model.collator.answers.generation
    full = (
        0
        if settings is None
        else sum(len(row.labels or ()) == settings.max_new_tokens for row in chain(*rows.values()))
    )
    if full:
        context.warn(f"{full:,} of {stats.rows:,} gold answers fill `max_new_tokens` and may be truncated")
    if stats.words_empty:
        context.warn(
            f"{stats.words_empty:,} words have no token: they are skipped in training and predicted as O"
        )
    if stats.read_cut_off:
        words = task_model.spec.row.reads == "words"
        what, consequence = (
            ("words", "they count as missed")
            if words
            else ("tokens that the head reads", "the row's last token is read instead")
        )
        context.warn(
            f"{stats.read_cut_off:,} {what} are cut off because `knowledge` adds tokens to the rows: {consequence}; "
            "set a larger `length` in `knowledge`, or a smaller one in the stage"
        )
    if stats.mentions:
        context.note(
            f"{stats.mentions:,} mentions of entities, {stats.mentions_aligned:,} of them aligned with tokens"
        )
    return rows


def loss_settings(task_model: FineTunedModel, config: FinetuneConfig, rows: Sequence[Row]) -> LossSettings:
    """The settings of the loss, with label weights from the training rows. A teacher counts if they have its
    probabilities."""
    output, labels = task_model.spec.row.output, [row.labels or () for row in rows]
    weights = None
    if isinstance(output, LabelOutput):
        several = output.kind == "several"
        weights = label_weights(labels, len(task_model.spec.labels), config.class_weights, several=several)
    if not any(row.soft_labels is not None for row in rows):
        return LossSettings(config.label_smoothing, weights)
    distillation = config.distillation_settings
    return LossSettings(
        config.label_smoothing,
        weights,
        distillation.weight,
        distillation.temperature,
        distillation.similarities,
    )


def calibrate(
    tuned: FineTunedModel,
    examples: Sequence[Example],
    rows: Sequence[Row],
    tokens: int,
    context: StageContext,
) -> None:
    """Calibrate the output on the examples of `dev`, and log the fitted values. `tokens`: the size of a batch."""
    output = tuned.spec.row.output
    assert isinstance(output, Calibrates)
    parts = row_answers(tuned.model, tuned.collator, rows, tokens)
    of_rows, its_rows = zip(*by_example(parts, rows), strict=True)
    fitted = output.calibrate(tuned.model, of_rows, its_rows, examples, tuned.collator.answers)
    context.log(fitted)
    context.note("fitted on dev: " + ", ".join(f"{name} {value:.3g}" for name, value in fitted.items()))


def cut_off(rows: Sequence[Row], collator: TaskCollator) -> int:
    """The number of tokens read by the head that are cut off after knowledge injection moved the tokens.

    Only rows long enough to lose tokens are collated.
    """
    keeps = None if collator.knowledge is None else collator.knowledge.keeps
    if keeps is None:
        return 0
    long = [row for row in rows if len(row) > keeps]
    parts = [long[begin : begin + ROWS] for begin in range(0, len(long), ROWS)]
    return sum(count_cut_off(collator.read(part), part) for part in parts)


def _summary(
    tuned: FineTunedModel,
    splits: Splits,
    split: str,
    found: Sequence[Answer],
    slices: Sequence[SliceName],
    seed: int,
) -> Metrics:
    """The metrics of a split, and those of its halves as `half/metric`."""
    spec, examples = tuned.spec, splits[split]
    metrics = summarise(spec.row.measure(examples, found, spec.labels), seed)
    tagged = spec.row.reads == "words"
    for half, has_N in halves(slices, splits["train"], examples, tagged=tagged).items():
        chosen = np.flatnonzero(has_N).tolist()
        if chosen:
            of_half = spec.row.measure([examples[n] for n in chosen], [found[n] for n in chosen], spec.labels)
            metrics |= {f"{half}/{name}": score for name, score in summarise(of_half, seed).items()}
    return metrics


def _baselines(
    tuned: FineTunedModel, splits: Splits, split: str, context: StageContext
) -> dict[str, Metrics]:
    """Baseline → metric → its value, for a task with answers that need no model."""
    row = tuned.spec.row
    if row.baselines is None:
        return {}
    examples = splits[split]
    scores: dict[str, Metrics] = {
        name: summarise(row.measure(examples, found, tuned.spec.labels), context.seed)
        for name, found in row.baselines(splits["train"], examples).items()
    }
    best = row.choose_by
    values = (f"{name.replace('_', ' ')} {metrics[best].value:.3f}" for name, metrics in scores.items())
    context.note(f"{tuned.spec.task}, {split}, without a model: {best} {', '.join(values)}")
    return scores


def _open_for_writing(file: Path) -> TextIO:
    return file.open("w", encoding="utf-8", newline="\n")


def measure(
    tuned: FineTunedModel,
    splits: Splits,
    rows: Mapping[str, list[Row]],
    tokens: int,
    context: StageContext,
    slices: Sequence[SliceName] = (),
) -> None:
    """Write `scores.json` and `predictions.jsonl` for dev and test, and `predictions.conll` if the task has that
    format. `tokens`: the size of a batch. `slices`: properties by whose halves the metrics are given, too."""
    spec = tuned.spec
    as_conll = spec.row.as_conll
    scores: dict[str, Metrics] = {}
    with ExitStack() as files:
        stream = files.enter_context(_open_for_writing(context.out / "predictions.jsonl"))
        columns = (
            None
            if as_conll is None
            else files.enter_context(_open_for_writing(context.out / "predictions.conll"))
        )
        for split in [name for name in ("dev", "test") if name in splits]:
            with context.progress(f"measuring on {split}", len(rows[split]), "rows") as tick:
                found = answers(tuned.model, tuned.collator, rows[split], tokens, tick)
            scores[split] = _summary(tuned, splits, split, found, slices, context.seed)
            for example, record in zip(splits[split], records(spec, splits[split], found), strict=True):
                line = {"split": split, **_asked(example), **record}
                stream.write(json.dumps(line, ensure_ascii=False) + "\n")
                if columns is not None and as_conll is not None:
                    columns.write(as_conll({**record, "id": f"{split} {record['id']}"}))
    baselines = {split: _baselines(tuned, splits, split, context) for split in scores}
    write_scores(
        context.out / FILE, Scores({MODEL: scores}, baselines={s: b for s, b in baselines.items() if b})
    )
    for split, values in scores.items():
        context.log({f"{split}/{name}": score.value for name, score in values.items()})
        best = spec.row.choose_by
        score = values[best]
        interval = "" if score.low is None else f" (95%: {score.low:.3f} to {score.high:.3f})"
        context.note(f"{spec.task}, {split}: {best} {score.value:.3f}{interval} over {score.cases:,} cases")
