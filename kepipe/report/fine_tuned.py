"""The page of fine-tuned models of a task: scores, scores by label, curves, errors in context, and differing
predictions of two models."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from kepipe.finetuning.fine_tuned import TaskSpec, read_spec
from kepipe.finetuning.label_output import LabelOutput
from kepipe.finetuning.number_output import NumberOutput
from kepipe.finetuning.records import Piece, pieces
from kepipe.flow.artifact import Artifact
from kepipe.report import charts
from kepipe.report.confusion import confusions, draw, gathered
from kepipe.report.learning_curve import curve, sized
from kepipe.report.page import Block, Fact, Figure, Page, Quotes, Section, Table, Text
from kepipe.report.picture import Panel
from kepipe.report.running import day, record, running
from kepipe.report.wording import cell, plain, swatch
from kepipe.studies.design import better_by_name
from kepipe.studies.scores import FILE, MODEL, Metrics, read_scores

SHOWN = 12
"""Maximum number of quoted mistakes."""
LONGEST = 400
"""Maximum number of characters of a quoted text."""
Record = Mapping[str, Any]


@dataclass(frozen=True)
class TunedModel:
    """A fine-tuned model's folder, read for the page."""

    artifact: Artifact

    @property
    def name(self) -> str:
        """Name of its stage."""
        return self.artifact.name

    @cached_property
    def spec(self) -> TaskSpec:
        """The task of the model."""
        return read_spec(self.artifact.folder)

    @cached_property
    def scores(self) -> Mapping[str, Metrics]:
        """Split → metric → value."""
        return read_scores(self.artifact.folder / FILE).arms[MODEL]

    @property
    def split(self) -> str:
        """The split that the page shows: `test` if available, otherwise `dev`."""
        return "test" if "test" in self.scores else "dev"

    @cached_property
    def records(self) -> list[Record]:
        """The predictions on that split."""
        lines = (self.artifact.folder / "predictions.jsonl").read_text(encoding="utf-8").splitlines()
        return [line for line in map(json.loads, lines) if line["split"] == self.split and "labels" in line]


def by_task(artifacts: Sequence[Artifact]) -> dict[str, list[TunedModel]]:
    """Task → the models for it, in their order."""
    found: dict[str, list[TunedModel]] = {}
    for model in map(TunedModel, artifacts):
        found.setdefault(model.spec.task, []).append(model)
    return found


def task_panels(artifacts: Sequence[Artifact]) -> Iterator[Panel]:
    """Panels for a picture: for each task, the selection metric of each model."""
    for task, models in by_task(artifacts).items():
        metric = models[0].spec.row.choose_by
        measured = {model.name: model.scores[model.split][metric] for model in models}
        yield Panel(f"{task}: {metric}, higher is better", measured)


def task_sections(artifacts: Sequence[Artifact]) -> Iterator[Section]:
    """Sections for the page of a run: for each task, the scores of its models."""
    for task, models in by_task(artifacts).items():
        metric = models[0].spec.row.choose_by
        drawing = charts.dots(
            {metric: {model.name: model.scores[model.split][metric] for model in models}},
            f"{metric}, higher is better",
            [model.name for model in models],
            from_zero=False,
        )
        about = f"Task: {models[0].spec.row.about}. With 95% intervals, which resample the examples."
        yield Section(
            f"task-{task}", f"Fine-tuned: {task}", (Figure(drawing, about), *_scores(models).blocks)
        )


def build(artifacts: Sequence[Artifact], title: str = "") -> Page:
    """The page. It has no creation time."""
    models = [TunedModel(artifact) for artifact in artifacts]
    first = models[0]
    best = {model.name: model.scores[model.split][model.spec.row.choose_by] for model in models}
    best_scores = ", ".join(f"{plain(score.value)} with {name}" for name, score in best.items())
    name = title or str(record(first.artifact).get("pipeline") or "pipeline")
    sections = [
        _scores(models),
        *_learning_curve(models),
        *_confused(models),
        _by_label(models),
        _curves(models),
        *_changed(models),
        *map(_mistakes, models),
    ]
    return Page(
        title=f"{name}: {first.spec.task}",
        kicker=" · ".join(part for part in (name, day(artifacts)) if part),
        headline=f"{first.spec.task}: {first.spec.row.choose_by} {best_scores}.",
        lead=f"Task: {first.spec.row.about}. Measured on `{first.split}`, which was not used for model selection."
        if first.split == "test"
        else f"Task: {first.spec.row.about}. Measured on `dev`, which was used to select the best epoch.",
        facts=tuple(
            Fact(f"{first.spec.row.choose_by}, {name}", plain(score.value), f"{score.cases:,} cases", number)
            for number, (name, score) in enumerate(best.items())
        ),
        sections=(*(section for section in sections if section.blocks), running(artifacts)),
    )


def _scores(models: Sequence[TunedModel]) -> Section:
    rows = [
        (swatch(model.name, number), split, metric, cell(score), f"{score.cases:,}")
        for number, model in enumerate(models)
        for split, metrics in model.scores.items()
        for metric, score in metrics.items()
    ]
    head = ("Model", "Split", "Metric", "Value", "Cases")
    caption = "With 95% intervals, which resample the examples."
    return Section("scores", "Scores", (Table(head, tuple(rows), caption, numbers=(3, 4)),))


def _learning_curve(models: Sequence[TunedModel]) -> Iterator[Section]:
    """A curve, if models with several training-set sizes of one stage are shown."""
    metric = models[0].spec.row.choose_by
    stages = {found[0]: None for model in models if (found := sized(model.name)) is not None}
    scores = {
        model.name: {found[0]: model.scores[model.split][metric]}
        for model in models
        if (found := sized(model.name)) is not None
    }
    rising = curve(scores, f"{metric}, {better_by_name(metric)} is better", list(stages))
    if rising is not None:
        yield Section("learning-curve", "By the number of examples", (rising,))


def _confused(models: Sequence[TunedModel]) -> Iterator[Section]:
    """Confusion matrices, for tasks with one label per case."""
    blocks: list[Block] = []
    for number, model in enumerate(models):
        if isinstance(model.spec.row.output, LabelOutput) and (counts := confusions(model.records)):
            drawing = draw(*gathered(counts))
            about = (
                "Rows: true labels; columns: predictions. The darker a cell, the larger its share of the row."
            )
            blocks += [Text(swatch(model.name, number)), Figure(drawing, about)]
    if blocks:
        yield Section("confusions", "Confusion matrices", tuple(blocks))


def _by_label(models: Sequence[TunedModel]) -> Section:
    """Counts, precision, recall and F1 by label or type, for tasks with labels."""
    blocks: list[Block] = []
    for number, model in enumerate(models):
        if not isinstance(model.spec.row.output, LabelOutput):
            continue
        given, answered, right = Counter[str](), Counter[str](), Counter[str]()
        for line in model.records:
            gold, predicted = pieces(line)
            given.update(piece.label for piece in gold)
            answered.update(piece.label for piece in predicted)
            right.update(piece.label for piece in gold & predicted)
        labels = sorted({*given, *answered}, key=lambda label: (-given[label], label))
        rows = [
            (
                label, given[label], answered[label], right[label],
                _share(right[label], answered[label]), _share(right[label], given[label]),
                _share(2 * right[label], given[label] + answered[label]),
            )
            for label in labels
        ]  # fmt: skip
        head = ("Label", "true", "answered", "right", "Precision", "Recall", "F1")
        blocks += [Text(swatch(model.name, number)), Table(head, tuple(rows), numbers=(1, 2, 3, 4, 5, 6))]
    return Section("labels", "By label", tuple(blocks))


def _share(count: int, total: int) -> str:
    return plain(count / total) if total else "–"


def _curves(models: Sequence[TunedModel]) -> Section:
    """Training loss and selection metric over the steps."""
    blocks: list[Block] = []
    chosen = models[0].spec.row.choose_by
    for name, label in (("loss", "training loss"), (f"held_out_{chosen}", f"{chosen} on dev")):
        lines = {}
        for model in models:
            points = [
                (e["step"], e[name]) for e in model.artifact.metrics() if name in e and e["step"] is not None
            ]
            lines[model.name] = ([point[0] for point in points], [point[1] for point in points])
        if any(len(steps) > 1 for steps, _ in lines.values()):
            blocks.append(Figure(charts.curves(lines, "step", label), f"{label.capitalize()}."))
    return Section("curves", "Training", tuple(blocks))


def _mistakes(model: TunedModel) -> Section:
    """Wrong predictions in context, the most confident first."""
    if isinstance(model.spec.row.output, NumberOutput):
        wrong = sorted(model.records, key=lambda line: -abs(float(line["labels"]) - line["predicted"]))
        about = "The predictions with the largest errors."
    else:
        wrong = [line for line in model.records if len(set(pieces(line))) == 2]
        wrong.sort(key=lambda line: -float(line.get("probability", 0.0)))
        of = f"{len(wrong):,} of {len(model.records):,} examples of `{model.split}`"
        about = f"{of} are predicted wrongly."
    blocks: list[Block] = [Text(about)]
    quoted = tuple(_quote(line, _difference(line)) for line in wrong[:SHOWN])
    anchor = re.sub(r"[^\w-]", "-", model.name)
    return Section(
        f"mistakes-{anchor}",
        f"Mistakes of {model.name}",
        (*blocks, Quotes(quoted)) if quoted else tuple(blocks),
    )


def _changed(models: Sequence[TunedModel]) -> Iterator[Section]:
    """Examples that only one of the first two models predicts correctly."""
    if len(models) < 2:
        return
    first, second = models[:2]
    theirs = {(line["id"], line["text"]): line for line in second.records}
    pairs = [
        (line, theirs[line["id"], line["text"]])
        for line in first.records
        if (line["id"], line["text"]) in theirs
    ]
    blocks: list[Block] = []
    for better, worse, of in ((first, second, pairs), (second, first, [pair[::-1] for pair in pairs])):
        won = [
            (ours, other)
            for ours, other in of
            if len(set(pieces(ours))) == 1 and len(set(pieces(other))) == 2
        ]
        blocks.append(
            Text(
                f"{better.name} is right where {worse.name} is wrong in {len(won):,} of {len(of):,} examples."
            )
        )
        quotes = tuple(
            _quote(ours, f"{worse.name}: {_difference(other)}") for ours, other in won[: SHOWN // 2]
        )
        if quotes:
            blocks.append(Quotes(quotes))
    yield Section("changed", f"Answers that differ: {first.name} and {second.name}", tuple(blocks))


def _quote(line: Record, below: str) -> tuple[str, str, str]:
    text = str(line["text"]) + (f" ‖ {line['second']}" if line.get("second") else "")
    asked = (
        [text[start:end] for start, end in line.get("asked", ())]
        if isinstance(line["predicted"], str | dict)
        else []
    )
    above = " · ".join((str(line["id"]), *asked))
    return above, text if len(text) <= LONGEST else f"{text[:LONGEST]} …", below


def _difference(line: Record) -> str:
    """Missed labels, and wrong ones."""
    gold, predicted = pieces(line)
    parts = {"should be": gold - predicted, "answered": predicted - gold}
    return "; ".join(
        f"{what} {', '.join(sorted(map(_named(line), found)))}" for what, found in parts.items() if found
    )


def _named(line: Record) -> Any:
    """The text of a piece: its label, and for a span its words."""

    def write(piece: Piece) -> str:
        if piece.stop <= piece.start:
            return piece.label
        spans = line["asked"][piece.start : piece.stop]
        return f"{piece.label} “{str(line['text'])[spans[0][0] : spans[-1][1]]}”" if spans else piece.label

    return write
