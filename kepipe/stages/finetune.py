"""Stage `finetune`: a model + a task's data → a model for that task, its scores and its predictions.

The best epoch is chosen on `dev`; `test` is measured once, at the end. Knowledge comes in as the model and the
settings say: entities fused with tokens, triples injected into the text, or none.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kepipe.config import ConfigConflict, cache_key_fields
from kepipe.finetuning.settings import FinetuneConfig
from kepipe.finetuning.splits import Data
from kepipe.flow.artifact import hash_file
from kepipe.flow.stage import Planned, Stage, StageContext
from kepipe.models.base import fingerprint
from kepipe.stages import preview
from kepipe.stages.artifacts import FineTuned, Graph, Linked, Model, TaskData, Vectors
from kepipe.stages.knowledge import NO_GRAPH
from kepipe.stages.start import choose, open_entities, tell_unused

if TYPE_CHECKING:
    from kepipe.finetuning.examples import Example
    from kepipe.finetuning.fine_tuned import FineTunedModel, TaskSpec
    from kepipe.finetuning.mention_finders import Source
    from kepipe.finetuning.rows import Row
    from kepipe.knowledge.kbert.injector import Injector
    from kepipe.models.config import TransformerConfig
    from kepipe.models.entities import EntityVectors
    from kepipe.models.transformer import Transformer
    from kepipe.tokenization.tokenizer import Tokenizer

    Splits = dict[str, list[Example]]


@dataclass(frozen=True)
class FinetuneInputs:
    """All by name: the model to start from; the entity vectors that it fuses, where not its own; the graph whose
    triples are injected; the linked text whose linker finds mentions; the task's data, where a stage makes it; the
    graph by which entities that have no vector get one, composed from their neighbours."""

    start: Model | None = None
    vectors: Vectors | None = None
    graph: Graph | None = None
    linked: Linked | None = None
    data: TaskData | None = None
    neighbours: Graph | None = None


def finetune(inputs: FinetuneInputs, config: FinetuneConfig, context: StageContext) -> None:
    """Train on a task and write the model folder, `task.json`, `scores.json`, `predictions.jsonl`.

    Raises ValueError where model, data, and knowledge do not fit, with what to do.
    """
    from kepipe.finetuning import fine_tuned, heads
    from kepipe.finetuning.fitting import DevEvaluator, Fitting, Visits
    from kepipe.training.loop import train

    for conflict in missing_inputs(config, [name for name, made in vars(inputs).items() if made is not None]):
        raise conflict
    splits, source = _read(inputs, config, context)
    fresh = _start(inputs, config, splits, source, context)
    rows = _rows(fresh, splits, context)
    spec, collator = fresh.spec, fresh.collator
    visits = Visits.of(rows["train"], config.batch_tokens, context.seed)
    training = config.training(visits.sampler.per_epoch)
    dev = DevEvaluator(spec.row, splits["dev"], rows["dev"], collator, spec.labels, config.batch_tokens)
    if config.train == "head":
        fresh.model.requires_grad_(False).get_submodule(heads.NAME).requires_grad_(True)
    progress = train(fresh.model, Fitting(rows["train"], collator), visits.render, training, context, dev)
    provenance = {
        "stage": "finetune",
        "config": cache_key_fields(config),
        "seed": context.seed,
        **{name: "" if made is None else made.digest for name, made in vars(inputs).items()},
        "steps": progress.step,
        "best_step": progress.best_step,
    }
    fresh.model.eval()
    _measure(fresh, splits, rows, config, context)
    fine_tuned.save(context.out, fresh, provenance)
    if inputs.graph is not None and config.inject is not None:
        fine_tuned.carry(inputs.graph.folder, context.out / fine_tuned.GRAPH)
    if inputs.linked is not None and (fresh.injector is not None or fresh.vectors is not None):
        fine_tuned.carry(inputs.linked.folder / "linker", context.out / fine_tuned.LINKER)


def missing_inputs(config: FinetuneConfig, given: Collection[str]) -> Iterator[ConfigConflict]:
    """What the settings, and the names of the inputs that are given, leave open or say twice."""
    if ("data" in given) == (config.data is not None):
        yield ConfigConflict(
            "data", "say what to learn from, either by `data: {train: FILE}` or by `inputs: {data: quiz}`"
        )
    if ("start" in given) == (config.base is not None):
        yield ConfigConflict(
            "base",
            "say which model to start from, either by `inputs: {start: pretrain}` or by `base: {from: minilm}`",
        )
    elif config.base is not None and config.base.trained is None and config.tokenizer is None:
        yield ConfigConflict(
            "tokenizer", "a fresh base needs one, such as a folder or a vocab.txt: set `tokenizer: FOLDER`"
        )
    for source, slot, stage in (("linker", "linked", "link"), ("names", "graph", "graph")):
        if config.mentions == source and slot not in given:
            yield ConfigConflict("mentions", f"`{source}` needs an input: set `inputs: {{{slot}: {stage}}}`")


def _data(inputs: FinetuneInputs, config: FinetuneConfig) -> Data:
    """The task's files: those that the settings name, or a stage has made."""
    if inputs.data is None:
        assert config.data is not None
        return config.data
    folder = inputs.data.folder
    return Data.model_validate({split: folder / f"{split}.jsonl" for split in ("train", "dev", "test")})


def _read(inputs: FinetuneInputs, config: FinetuneConfig, context: StageContext) -> tuple[Splits, Source]:
    """The examples of each split with their mentions, and where these come from."""
    from kepipe.finetuning.mention_finders import make_finder, with_mentions
    from kepipe.finetuning.splits import read_splits
    from kepipe.finetuning.table import TASKS
    from kg.problems import Problems

    data = _data(inputs, config)
    problems = Problems(strict=data.strict)
    splits = read_splits(data, TASKS[config.task].read, context.seed, problems)
    if problems:
        context.warn(problems.summary())
    counts = {split: len(examples) for split, examples in splits.items()}
    digests = [hash_file(file) for file in data.files().values()]
    context.dataset(config.task, digests[0], counts | {"bad_lines": problems.count})
    source = _source(inputs, config, splits)
    if source in ("linker", "names"):
        linker = inputs.linked.folder / "linker" if source == "linker" and inputs.linked else None
        finder = make_finder(linker, inputs.graph.folder if inputs.graph else None, config.language)
        assert finder is not None
        splits = {split: with_mentions(examples, finder) for split, examples in splits.items()}
    elif source == "none":
        splits = {split: [replace(e, mentions=()) for e in examples] for split, examples in splits.items()}
    return splits, source


def _source(inputs: FinetuneInputs, config: FinetuneConfig, splits: Splits) -> Source:
    """Where mentions come from. Raises ValueError where the settings ask for what is not there."""
    there: dict[Source, bool] = {
        "data": any(example.mentions for examples in splits.values() for example in examples),
        "linker": inputs.linked is not None,
        "names": inputs.graph is not None,
        "none": True,
    }
    if config.mentions == "auto":
        return next(source for source, known in there.items() if known)
    if not there[config.mentions]:
        raise ValueError(f"finetune: `mentions: {config.mentions}` needs data that has entity ids")
    return config.mentions


def _start(
    inputs: FinetuneInputs, config: FinetuneConfig, splits: Splits, source: Source, context: StageContext
) -> FineTunedModel:
    """The model to start from with marks and a fresh head, and its knowledge."""
    from kepipe.finetuning import fine_tuned, heads
    from kepipe.finetuning.marker_tokens import place_marks
    from kepipe.finetuning.splits import label_table
    from kepipe.finetuning.table import TASKS
    from kepipe.models.base import build

    base, tokenizer = choose(inputs.start, config)
    vectors = open_entities(inputs.vectors, base, inputs.neighbours, context)
    special = {"pad": tokenizer.pad, "sep": tokenizer.sep}
    model = build(base, tokenizer.vocab_size, context.seed, context.note, special, vectors)
    if model.config.fusion is None:
        tell_unused(inputs.vectors, config.inject, context)
    for conflict in _too_long(config, model.config):
        raise conflict
    names = TASKS[config.task].marks if config.marks_mentions else ()
    placed = {} if inputs.start is None else fine_tuned.placed_marks(inputs.start.folder)
    model, marks = place_marks(model, tokenizer, names, context.seed, placed)
    spec = fine_tuned.TaskSpec(
        config.task,
        label_table(splits),
        config.length,
        marks,
        config.read == "mean" and TASKS[config.task].reads != "words",
        config.language,
        source,
        _injects(inputs, config, context),
    )
    if len(spec.labels) < 2:
        raise ValueError(
            f"{_data(inputs, config).train}: the data has one label, {spec.labels}: there is nothing to learn"
        )
    head = fine_tuned.new_head(spec, model.config, config.dropout if config.train == "all" else 0.0)
    heads.attach(model, heads.initialise(head, context.seed))
    fused = vectors if model.config.fusion is not None else None
    return fine_tuned.FineTunedModel(
        spec, model, tokenizer, fused, _injector(inputs, spec, tokenizer, model, vectors)
    )


def _injects(inputs: FinetuneInputs, config: FinetuneConfig, context: StageContext) -> dict[str, Any] | None:
    """The settings of injection, where there is a graph to inject; a control has none."""
    if config.inject is None:
        return None
    if inputs.graph is None:
        context.warn(NO_GRAPH)
        return None
    return config.inject.model_dump(mode="json")


def _injector(
    inputs: FinetuneInputs,
    spec: TaskSpec,
    tokenizer: Tokenizer,
    model: Transformer,
    vectors: EntityVectors | None,
) -> Injector | None:
    from kepipe.knowledge.kbert.opening import open_injector
    from kepipe.knowledge.kbert.settings import Inject

    if spec.inject is None or inputs.graph is None:
        return None
    folder = None if vectors is None else vectors.vectors.folder
    settings = Inject.model_validate(spec.inject)
    return open_injector(inputs.graph.folder, tokenizer, settings, model.config, folder)


def _rows(fresh: FineTunedModel, splits: Splits, context: StageContext) -> dict[str, list[Row]]:
    """Each split as labelled rows; what did not fit is told."""
    from kepipe.finetuning.encoding import TruncationStats, encode_rows
    from kepipe.finetuning.table import labelled

    stats = TruncationStats()
    rows = {
        split: labelled(
            fresh.spec.row, encode_rows(examples, fresh.row_format, stats), examples, fresh.spec.labels
        )
        for split, examples in splits.items()
    }
    context.log({name: float(count) for name, count in vars(stats).items()})
    if stats.cut:
        lost = f", {stats.words_cut:,} words are cut off and count as missed" if stats.words_cut else ""
        context.warn(f"{stats.cut:,} of {stats.rows:,} rows are longer than `length` and are cut{lost}")
    if stats.mentions:
        context.note(
            f"{stats.mentions:,} entities named, {stats.mentions_aligned:,} of them with tokens of their own"
        )
    return rows


def _measure(
    fresh: FineTunedModel,
    splits: Splits,
    rows: Mapping[str, list[Row]],
    config: FinetuneConfig,
    context: StageContext,
) -> None:
    """Write `scores.json` and `predictions.jsonl` for what was not trained on."""
    from kepipe.finetuning.fitting import answers
    from kepipe.finetuning.metrics import summarise
    from kepipe.finetuning.records import records
    from kepipe.studies.scores import FILE, MODEL, Metrics, Scores, write_scores

    scores: dict[str, Metrics] = {}
    measured: list[str] = [name for name in ("dev", "test") if name in splits]
    with (context.out / "predictions.jsonl").open("w", encoding="utf-8", newline="\n") as stream:
        for split in measured:
            with context.progress(f"measuring on {split}", len(rows[split]), "rows") as tick:
                found = answers(fresh.model, fresh.collator, rows[split], 4 * config.batch_tokens, tick)
            metrics = fresh.spec.row.measure(splits[split], found, fresh.spec.labels)
            scores[split] = summarise(metrics, context.seed)
            for record in records(fresh.spec, splits[split], found):
                stream.write(json.dumps({"split": split, **record}, ensure_ascii=False) + "\n")
    write_scores(context.out / FILE, Scores({MODEL: scores}))
    for split, values in scores.items():
        context.log({f"{split}/{name}": score.value for name, score in values.items()})
        best = fresh.spec.row.choose_by
        score = values[best]
        interval = "" if score.low is None else f" (95%: {score.low:.3f} to {score.high:.3f})"
        context.note(f"{config.task}, {split}: {best} {score.value:.3f}{interval} over {score.cases:,} cases")


def conflicts(stage: Planned) -> Iterator[ConfigConflict]:
    """What is `missing_inputs`, and where the model cannot take what the settings give it."""
    config: FinetuneConfig = stage.config
    yield from missing_inputs(config, [slot for slot, stages in stage.inputs.items() if stages])
    try:
        model = preview.starting_model(stage)
    except ConfigConflict as conflict:
        yield conflict
        return
    if model is not None:
        yield from _too_long(config, model)


def _too_long(config: FinetuneConfig, model: TransformerConfig) -> Iterator[ConfigConflict]:
    if 0 < model.positions < config.length:
        yield ConfigConflict(
            "length",
            f"{config.length} tokens, and the model has {model.positions} positions: set `length: {model.positions}`",
        )


def _fingerprint(config: FinetuneConfig) -> Mapping[str, str]:
    files = {} if config.data is None else config.data.files()
    digests = {f"data/{split}": hash_file(Path(file)) for split, file in files.items()}
    return digests | ({} if config.base is None else dict(fingerprint(config.base)))


FINETUNE = Stage("finetune", 4, FinetuneInputs, FinetuneConfig, FineTuned, finetune, _fingerprint, conflicts)
