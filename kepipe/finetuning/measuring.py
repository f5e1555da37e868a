"""A task's examples as rows, and what a model answers on those that it was not trained on."""

from __future__ import annotations

import json
from collections.abc import Mapping

from kepipe.finetuning.encoding import TruncationStats, encode_rows
from kepipe.finetuning.evaluation import answers
from kepipe.finetuning.fine_tuned import FineTunedModel
from kepipe.finetuning.metrics import summarise
from kepipe.finetuning.records import records
from kepipe.finetuning.rows import Row
from kepipe.finetuning.splits import Splits
from kepipe.flow.stage import StageContext
from kepipe.studies.scores import FILE, MODEL, Metrics, Scores, write_scores


def encode(fresh: FineTunedModel, splits: Splits, context: StageContext) -> dict[str, list[Row]]:
    """Each split as rows with their true answers; what did not fit is logged and told."""
    stats = TruncationStats()
    rows = {
        split: fresh.spec.row.output.encode(
            encode_rows(examples, fresh.row_format, stats), examples, fresh.collator.answers
        )
        for split, examples in splits.items()
    }
    context.log({name: float(count) for name, count in vars(stats).items()})
    if stats.cut:
        lost = f", {stats.words_cut:,} words are cut off and count as missed" if stats.words_cut else ""
        context.warn(f"{stats.cut:,} of {stats.rows:,} rows are longer than `length` and are cut{lost}")
    if stats.words_empty:
        context.warn(
            f"{stats.words_empty:,} words have no token: nothing is learned of them, and they are answered as outside"
        )
    if stats.mentions:
        context.note(
            f"{stats.mentions:,} entities named, {stats.mentions_aligned:,} of them with tokens of their own"
        )
    return rows


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
