"""A task's examples as rows, and what a model answers on those that it was not trained on."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from kepipe.finetuning.collator import TaskCollator
from kepipe.finetuning.encoding import TruncationStats, encode_rows
from kepipe.finetuning.evaluation import answers
from kepipe.finetuning.fine_tuned import FineTunedModel
from kepipe.finetuning.metrics import summarise
from kepipe.finetuning.read_positions import count_cut_off
from kepipe.finetuning.records import records
from kepipe.finetuning.rows import Row
from kepipe.finetuning.splits import Splits
from kepipe.flow.stage import StageContext
from kepipe.studies.scores import FILE, MODEL, Metrics, Scores, write_scores

ROWS = 256
"""Rows that are looked through at a time."""


def encode(fresh: FineTunedModel, splits: Splits, context: StageContext) -> dict[str, list[Row]]:
    """Each split as rows with their true answers; what did not fit is logged and told."""
    stats = TruncationStats()
    rows = {
        split: fresh.spec.row.output.encode(
            encode_rows(examples, fresh.row_format, stats), examples, fresh.collator.answers
        )
        for split, examples in splits.items()
    }
    stats.read_cut_off = sum(cut_off(split, fresh.collator) for split in rows.values())
    context.log({name: float(count) for name, count in vars(stats).items()})
    if stats.cut:
        lost = f", {stats.words_cut:,} words are cut off and count as missed" if stats.words_cut else ""
        context.warn(f"{stats.cut:,} of {stats.rows:,} rows are longer than `length` and are cut{lost}")
    if stats.words_empty:
        context.warn(
            f"{stats.words_empty:,} words have no token: nothing is learned of them, and they are answered as outside"
        )
    if stats.read_cut_off:
        words = fresh.spec.row.reads == "words"
        what, instead = (
            ("words", "count as missed")
            if words
            else ("tokens that the head reads", "the row's last token is read instead")
        )
        context.warn(
            f"{stats.read_cut_off:,} {what} are cut off by what `knowledge` writes into the rows: {instead}; set a "
            "larger `length` in `knowledge`, or a smaller one in the stage"
        )
    if stats.mentions:
        context.note(
            f"{stats.mentions:,} entities named, {stats.mentions_aligned:,} of them with tokens of their own"
        )
    return rows


def cut_off(rows: Sequence[Row], collator: TaskCollator) -> int:
    """How many tokens that the head reads are cut off when knowledge moves the rows' tokens."""
    if collator.knowledge is None:
        return 0
    count = 0
    for begin in range(0, len(rows), ROWS):
        part = rows[begin : begin + ROWS]
        batch = collator.read(part)
        if batch.moved is None:
            break
        count += count_cut_off(batch, part)
    return count


def measure(
    tuned: FineTunedModel, splits: Splits, rows: Mapping[str, list[Row]], tokens: int, context: StageContext
) -> None:
    """Write `scores.json` and `predictions.jsonl` for what was not trained on. `tokens`: of a batch."""
    spec = tuned.spec
    scores: dict[str, Metrics] = {}
    with (context.out / "predictions.jsonl").open("w", encoding="utf-8", newline="\n") as stream:
        for split in [name for name in ("dev", "test") if name in splits]:
            with context.progress(f"measuring on {split}", len(rows[split]), "rows") as tick:
                found = answers(tuned.model, tuned.collator, rows[split], tokens, tick)
            metrics = spec.row.measure(splits[split], found, spec.labels)
            scores[split] = summarise(metrics, context.seed)
            for record in records(spec, splits[split], found):
                stream.write(json.dumps({"split": split, **record}, ensure_ascii=False) + "\n")
    write_scores(context.out / FILE, Scores({MODEL: scores}))
    for split, values in scores.items():
        context.log({f"{split}/{name}": score.value for name, score in values.items()})
        best = spec.row.choose_by
        score = values[best]
        interval = "" if score.low is None else f" (95%: {score.low:.3f} to {score.high:.3f})"
        context.note(f"{spec.task}, {split}: {best} {score.value:.3f}{interval} over {score.cases:,} cases")
