"""Stage `finetune`: a model + a task's data → a model for that task, its scores and its predictions.

The best epoch is chosen on `dev`; `test` is measured once, at the end. Knowledge comes in as the model and the
settings say: entities fused with tokens, triples injected into the text, or none.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field, model_validator

from kepipe.config import Section, key_part
from kepipe.flow.artifact import hash_file
from kepipe.flow.stage import Stage, Work
from kepipe.inject.settings import Inject
from kepipe.models.families import Base, fingerprint
from kepipe.stages.artifacts import FineTuned, Graph, Linked, Model, TaskData, Vectors
from kepipe.tasks.finetune.splits import Data

if TYPE_CHECKING:
    from kepipe.corpus.tokenizer import Tokenizer
    from kepipe.models.entities import EntityVectors
    from kepipe.tasks.finetune.examples import Example
    from kepipe.tasks.finetune.tuned import Tuned
    from kepipe.tasks.rows import Row
    from kepipe.train.settings import Training

    Splits = dict[str, list[Example]]

FEATURES_RATE = 1e-3
"""Learning rate of a head alone, which has to come from nothing."""


class FinetuneConfig(Section):
    """Which task, on what data, how long."""

    task: Literal["relations", "typing", "classification", "pairs", "ranking", "tagging"]
    """What is asked. `docs/tasks.md` tells of each task's files."""
    data: Data | None = None
    """The task's files, where no stage makes them (`inputs: {data: quiz}`)."""
    base: Base | None = None
    """The model to start from, where no stage's (`inputs: {start: pretrain}`)."""
    tokenizer: str | None = None
    """The tokenizer of a fresh base: a folder, a vocab.txt, `minilm`. A trained model has its own."""
    train: Literal["all", "head"] = "all"
    """What learns: the whole model, or the head alone over frozen features."""
    read: Literal["marks", "mean"] = "marks"
    """What the head reads: the marked tokens ([CLS], [HD] and [TL], [ENT], each word), or the mean of the row."""
    mark: bool | None = None
    """Put special tokens around the mentions asked about; none: where the whole model learns what they mean."""
    length: int = Field(128, ge=8)
    """Longest row in tokens, special tokens and marks included; triples that are injected come on top."""
    language: Literal["en", "zh"] = "en"
    """The texts' language, by which mentions are found."""
    mentions: Literal["auto", "data", "linker", "names", "none"] = "auto"
    """Where the entities of a text come from: the data, the linker of the input `linked`, the names of the input
    `graph`; auto: the first of these that there is."""
    inject: Inject | None = None
    """Write triples of the input `graph` into the texts; without that input none are written."""

    epochs: int = Field(3, ge=1)
    """Passes over the training data, at most."""
    patience: int | None = Field(None, ge=1)
    """Epochs without a better dev score after which training stops; none: all epochs."""
    batch_tokens: int = Field(2048, ge=1)
    """Tokens of a batch: rows × the longest of them."""
    learning_rate: float = Field(5e-5, gt=0)
    """The highest rate; 1e-3 by default where the head alone learns."""
    warmup: float = Field(0.1, ge=0, lt=1)
    """Share of the steps in which the rate rises."""
    weight_decay: float = Field(0.01, ge=0)
    """Decay of the matrices."""
    dropout: float = Field(0.1, ge=0, lt=1)
    """Dropout in training; frozen features have none."""
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    """Number format of matrix products."""

    @model_validator(mode="before")
    @classmethod
    def _rate(cls, values: Any) -> Any:
        if isinstance(values, dict) and values.get("train") == "head":
            return {"learning_rate": FEATURES_RATE, **values}
        return values

    @property
    def marks_mentions(self) -> bool:
        """Whether special tokens are put around what is asked about."""
        return self.train == "all" if self.mark is None else self.mark


@dataclass(frozen=True)
class FinetuneInputs:
    """All by name: the model to start from; the entity vectors that it fuses, where not its own; the graph whose
    triples are injected; the linked text whose linker finds mentions; the task's data, where a stage makes it."""

    start: Model | None = None
    vectors: Vectors | None = None
    graph: Graph | None = None
    linked: Linked | None = None
    data: TaskData | None = None


def finetune(inputs: FinetuneInputs, config: FinetuneConfig, work: Work) -> None:
    """Train on a task and write the model folder, `task.json`, `scores.json`, `predictions.jsonl`.

    Raises ValueError where model, data, and knowledge do not fit, with what to do.
    """
    from kepipe.tasks.finetune import heads, tuned
    from kepipe.tasks.finetune.fitting import Dev, Fitting, Visits
    from kepipe.train.loop import train

    splits, source = _read(inputs, config, work)
    fresh = _start(inputs, config, splits, source, work)
    rows = _rows(fresh, splits, work)
    about, collator = fresh.about, fresh.collator
    visits = Visits.of(rows["train"], config.batch_tokens, work.seed)
    training = _training(config, visits.order.per_epoch)
    dev = Dev(about.row, splits["dev"], rows["dev"], collator, about.labels, config.batch_tokens)
    if config.train == "head":
        fresh.model.requires_grad_(False).get_submodule(heads.NAME).requires_grad_(True)
    progress = train(fresh.model, Fitting(rows["train"], collator), visits.render, training, work, dev)
    provenance = {
        "stage": "finetune",
        "config": key_part(config),
        "seed": work.seed,
        "start": "" if inputs.start is None else inputs.start.digest,
        "steps": progress.step,
        "best_step": progress.best_step,
    }
    fresh.model.eval()
    _measure(fresh, splits, rows, config, work)
    tuned.save(work.out, fresh, provenance)
    if inputs.graph is not None and config.inject is not None:
        tuned.carry(inputs.graph.folder, work.out / tuned.GRAPH)
    if inputs.linked is not None and (fresh.injector is not None or fresh.vectors is not None):
        tuned.carry(inputs.linked.folder / "linker", work.out / tuned.LINKER)


def _data(inputs: FinetuneInputs, config: FinetuneConfig) -> Data:
    """The task's files: those that the settings name, or a stage has made."""
    if (inputs.data is None) == (config.data is None):
        raise ValueError(
            "finetune: say what to learn from, either by `data: {train: FILE}` or by `inputs: {data: quiz}`"
        )
    if inputs.data is None:
        assert config.data is not None
        return config.data
    folder = inputs.data.folder
    return Data.model_validate({split: folder / f"{split}.jsonl" for split in ("train", "dev", "test")})


def _read(inputs: FinetuneInputs, config: FinetuneConfig, work: Work) -> tuple[Splits, Any]:
    """The examples of each split with their mentions, and where these come from."""
    from kepipe.tasks.finetune.knowledge import make_finder, with_mentions
    from kepipe.tasks.finetune.splits import read_splits
    from kepipe.tasks.finetune.table import TASKS
    from kg.problems import Problems

    data = _data(inputs, config)
    problems = Problems(strict=data.strict)
    splits = read_splits(data, TASKS[config.task].read, work.seed, problems)
    if problems:
        work.warn(problems.summary())
    counts = {split: len(examples) for split, examples in splits.items()}
    digests = [hash_file(file) for file in data.files().values()]
    work.dataset(config.task, digests[0], counts | {"bad_lines": problems.count})
    source = _source(inputs, config, splits)
    if source in ("linker", "names"):
        linker = inputs.linked.folder / "linker" if source == "linker" and inputs.linked else None
        finder = make_finder(linker, inputs.graph.folder if inputs.graph else None, config.language)
        assert finder is not None
        splits = {split: with_mentions(examples, finder) for split, examples in splits.items()}
    elif source == "none":
        splits = {split: [replace(e, mentions=()) for e in examples] for split, examples in splits.items()}
    return splits, source


def _source(inputs: FinetuneInputs, config: FinetuneConfig, splits: Splits) -> str:
    """Where mentions come from. Raises ValueError where the settings ask for what is not there."""
    there = {
        "data": any(example.mentions for examples in splits.values() for example in examples),
        "linker": inputs.linked is not None,
        "names": inputs.graph is not None,
        "none": True,
    }
    if config.mentions == "auto":
        return next(source for source, known in there.items() if known)
    if not there[config.mentions]:
        needed = {"linker": "`inputs: {linked: link}`", "names": "`inputs: {graph: graph}`"}
        how = needed.get(config.mentions, "data that has entity ids")
        raise ValueError(f"finetune: `mentions: {config.mentions}` needs {how}")
    return config.mentions


def _start(inputs: FinetuneInputs, config: FinetuneConfig, splits: Splits, source: Any, work: Work) -> Tuned:
    """The model to start from with marks and a fresh head, and its knowledge."""
    from kepipe.models.families import build
    from kepipe.tasks.finetune import heads, tuned
    from kepipe.tasks.finetune.marks import place_marks
    from kepipe.tasks.finetune.splits import label_table
    from kepipe.tasks.finetune.table import TASKS

    base, tokenizer = _base(inputs, config)
    vectors = _vectors(inputs, base)
    special = {"pad": tokenizer.pad, "sep": tokenizer.sep}
    model = build(base, tokenizer.vocab_size, work.seed, work.note, special, vectors)
    if 0 < model.config.positions < config.length:
        raise ValueError(
            f"finetune: length: {config.length} tokens, the model has {model.config.positions} positions: "
            "set length to that"
        )
    names = TASKS[config.task].marks if config.marks_mentions else ()
    model, marks = place_marks(model, tokenizer, names, work.seed)
    about = tuned.About(
        config.task,
        label_table(splits),
        config.length,
        marks,
        config.read == "mean" and TASKS[config.task].reads != "words",
        config.language,
        source,
        _injects(inputs, config, work),
    )
    if len(about.labels) < 2:
        raise ValueError(
            f"{_data(inputs, config).train}: the data has one label, {about.labels}: there is nothing to learn"
        )
    head = tuned.new_head(about, model.config, config.dropout if config.train == "all" else 0.0)
    heads.attach(model, heads.initialise(head, work.seed))
    fused = vectors if model.config.fusion is not None else None
    return tuned.Tuned(about, model, tokenizer, fused, _injector(inputs, about, tokenizer, model, vectors))


def _base(inputs: FinetuneInputs, config: FinetuneConfig) -> tuple[Base, Tokenizer]:
    """The model to start from, and its tokenizer."""
    from kepipe.corpus.tokenizer import load_tokenizer
    from kepipe.models.trained import locate

    if (inputs.start is None) == (config.base is None):
        raise ValueError(
            "finetune: say which model to start from, either by `inputs: {start: pretrain}` or by "
            "`base: {from: minilm}`"
        )
    dropout = config.dropout if config.train == "all" else 0.0
    if inputs.start is not None:
        folder = inputs.start.folder
        return Base.model_validate({"from": str(folder), "dropout": dropout}), load_tokenizer(folder)
    assert config.base is not None
    base = config.base.model_copy(update={"dropout": dropout})
    if base.trained is not None:
        return base, load_tokenizer(locate(base.trained))
    if config.tokenizer is None:
        raise ValueError("finetune: a fresh base needs `tokenizer`, such as a folder or a vocab.txt")
    return base, load_tokenizer(config.tokenizer)


def _vectors(inputs: FinetuneInputs, base: Base) -> EntityVectors | None:
    """The entity vectors given, else those in the folder of the model to start from."""
    from kepipe.models.entities import EntityVectors, has_vectors
    from kepipe.models.trained import locate

    if inputs.vectors is not None:
        return EntityVectors.open(inputs.vectors.folder)
    if base.trained is not None and has_vectors(locate(base.trained)):
        return EntityVectors.open(locate(base.trained))
    return None


def _injects(inputs: FinetuneInputs, config: FinetuneConfig, work: Work) -> dict[str, Any] | None:
    """The settings of injection, where there is a graph to inject; a control has none."""
    if config.inject is None:
        return None
    if inputs.graph is None:
        work.warn(
            "no triples are written into the texts: `inject` is set, but no graph: `inputs: {graph: graph}`"
        )
        return None
    return config.inject.model_dump(mode="json")


def _injector(
    inputs: FinetuneInputs, about: Any, tokenizer: Tokenizer, model: Any, vectors: EntityVectors | None
) -> Any:
    from kepipe.tasks.finetune.tuned import make_injector

    if about.inject is None or inputs.graph is None:
        return None
    folder = None if vectors is None else vectors.vectors.folder
    return make_injector(inputs.graph.folder, tokenizer, about.inject, model.config, folder)


def _rows(fresh: Tuned, splits: Splits, work: Work) -> dict[str, list[Row]]:
    """Each split as labelled rows; what did not fit is told."""
    from kepipe.tasks.finetune.marking import Fit, mark
    from kepipe.tasks.finetune.table import labelled

    fit = Fit()
    rows = {
        split: labelled(fresh.about.row, mark(examples, fresh.layout, fit), examples, fresh.about.labels)
        for split, examples in splits.items()
    }
    work.log({name: float(count) for name, count in vars(fit).items()})
    if fit.cut:
        lost = f", {fit.words_cut:,} words are cut off and count as missed" if fit.words_cut else ""
        work.warn(f"{fit.cut:,} of {fit.rows:,} rows are longer than `length` and are cut{lost}")
    if fit.mentions:
        work.note(
            f"{fit.mentions:,} entities named, {fit.mentions_aligned:,} of them with tokens of their own"
        )
    return rows


def _training(config: FinetuneConfig, per_epoch: int) -> Training:
    """The settings of the loop: measured and saved after each epoch, ending with the best."""
    from kepipe.train.settings import Training

    return Training(
        steps=config.epochs * per_epoch,
        eval_every=per_epoch,
        checkpoint_every=per_epoch,
        batch_tokens=config.batch_tokens,
        learning_rate=config.learning_rate,
        warmup=config.warmup,
        weight_decay=config.weight_decay,
        betas=(0.9, 0.999),
        precision=config.precision,
        patience=config.patience,
        keep=1,
        final="best",
    )


def _measure(
    fresh: Tuned, splits: Splits, rows: Mapping[str, list[Row]], config: FinetuneConfig, work: Work
) -> None:
    """Write `scores.json` and `predictions.jsonl` for what was not trained on."""
    from kepipe.tasks.finetune.fitting import answers
    from kepipe.tasks.finetune.metrics import summarise
    from kepipe.tasks.finetune.predictions import records

    scores = {}
    with (work.out / "predictions.jsonl").open("w", encoding="utf-8", newline="\n") as stream:
        for split in [name for name in ("dev", "test") if name in splits]:
            with work.progress(f"measuring on {split}", len(rows[split]), "rows") as tick:
                found = answers(fresh.model, fresh.collator, rows[split], 4 * config.batch_tokens, tick)
            metrics = fresh.about.row.measure(splits[split], found, fresh.about.labels)
            scores[split] = summarise(metrics, work.seed)
            for record in records(fresh.about, splits[split], found):
                stream.write(json.dumps({"split": split, **record}, ensure_ascii=False) + "\n")
    (work.out / "scores.json").write_text(json.dumps(scores, indent=1) + "\n", encoding="utf-8")
    for split, metrics_told in scores.items():
        work.log({f"{split}/{name}": told["value"] for name, told in metrics_told.items()})
        best = fresh.about.row.choose_by
        told = metrics_told[best]
        sure = "" if told["low"] is None else f" (95%: {told['low']:.3f} to {told['high']:.3f})"
        work.note(f"{config.task}, {split}: {best} {told['value']:.3f}{sure} over {told['cases']:,} cases")


def _fingerprint(config: FinetuneConfig) -> Mapping[str, str]:
    files = {} if config.data is None else config.data.files()
    digests = {f"data/{split}": hash_file(Path(file)) for split, file in files.items()}
    return digests | ({} if config.base is None else dict(fingerprint(config.base)))


FINETUNE = Stage("finetune", 1, FinetuneInputs, FinetuneConfig, FineTuned, finetune, _fingerprint)
