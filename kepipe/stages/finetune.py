"""Stage `finetune`: a model + a task's data → a model for that task, its scores and its predictions.

The best epoch is chosen on `dev`; `test` is measured once, at the end. The model and the settings determine
the knowledge: entities fused with tokens, triples injected into the text, or none.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from kepipe.config import ConfigConflict
from kepipe.finetuning.settings import FinetuneConfig
from kepipe.finetuning.slices import names_of_halves
from kepipe.finetuning.splits import Data
from kepipe.finetuning.table import TASKS
from kepipe.finetuning.text_output import TextOutput
from kepipe.finetuning.writers.table import cannot_write, no_room, writer_of
from kepipe.flow.artifact import Artifact
from kepipe.flow.source_digests import digest_source
from kepipe.flow.stage import Planned, Stage, StageContext
from kepipe.knowledge.base import KnowledgeContext
from kepipe.knowledge.table import inputs_of
from kepipe.models.base import fingerprint
from kepipe.stages import preview
from kepipe.stages.artifacts import FineTuned, Graph, Linked, Model, TaskData, Vectors
from kepipe.stages.distilling import fine_tuning_conflicts, folder_of
from kepipe.stages.distilling import fingerprint as teacher_fingerprint
from kepipe.stages.provenance import provenance
from kepipe.tokenization.digests import tokenizer_digests
from kepipe.training.settings import TRAINING_FIGURES

COUNTS = (
    "rows",
    "cut",
    "windows",
    "words_cut",
    "words_empty",
    "mentions",
    "mentions_aligned",
    "read_cut_off",
)
"""Logged counts of truncated rows."""


@dataclass(frozen=True)
class FinetuneInputs:
    """All optional, filled by name. `start`: the model to start from. `vectors`, `graph`: sources of knowledge, if not
    the model's own. `linked`: a linked text, whose linker finds mentions, or whose links are the data of
    `entity-linking`. `data`: the task's data, if a stage makes it.
    `neighbours`: a graph from which vectors of entities without one are composed. `teacher`: a model fine-tuned for the
    same task, whose probabilities are learned."""

    start: Model | None = None
    vectors: Vectors | None = None
    graph: Graph | None = None
    linked: Linked | None = None
    data: TaskData | None = None
    neighbours: Graph | None = None
    teacher: FineTuned | None = None


def finetune(inputs: FinetuneInputs, config: FinetuneConfig, context: StageContext) -> None:
    """Train on a task and write the model folder, `task.json`, `scores.json`, `predictions.jsonl`.

    Raises ValueError, with a remedy, if model, data and knowledge are incompatible.
    """
    from kepipe.finetuning import fine_tuned
    from kepipe.finetuning.collator import TaskBatches
    from kepipe.finetuning.defaults import default_rate
    from kepipe.finetuning.evaluation import DevEvaluator
    from kepipe.finetuning.learning_weights import set_trainable
    from kepipe.finetuning.lora import merge_lora
    from kepipe.finetuning.measuring import calibrate, encode, loss_settings, measure
    from kepipe.finetuning.predictor import Predictor
    from kepipe.finetuning.reading import read_examples
    from kepipe.finetuning.soft_labels import with_soft_labels
    from kepipe.finetuning.standardised_head import make_plain, standardise
    from kepipe.finetuning.starting import start
    from kepipe.flow.artifact import link_folder
    from kepipe.linking import LINKER
    from kepipe.stages.starting import choose, folders, warn_of_unused
    from kepipe.training.loop import train

    for conflict in missing_inputs(
        config, [name for name, artifact in vars(inputs).items() if artifact is not None]
    ):
        raise conflict
    task = TASKS[config.task]
    linker = None if inputs.linked is None else inputs.linked.folder / LINKER
    splits, source = read_examples(
        _data(inputs, config, context.scratch),
        config,
        linker=None if task.of_linked else linker,
        graph=None if inputs.graph is None or task.of_linked else inputs.graph.folder,
        context=context,
    )
    sources = {**folders(inputs.graph, inputs.vectors, inputs.neighbours), "linker": linker}
    base, tokenizer = choose(inputs.start, config)
    task_model = start(base, tokenizer, config, splits, source, sources, context.seed, context.note)
    warn_of_unused(inputs.vectors, task_model.knowledge, context)
    rows = encode(task_model, splits, context)
    context.sources_read()
    if (teacher := folder_of(inputs.teacher, config.distillation)) is not None:
        opened = Predictor.open(teacher, device=context.device)
        settings = config.distillation_settings
        rows["train"] = with_soft_labels(rows["train"], splits["train"], opened, task_model.spec, settings)
    batches = TaskBatches.over(rows["train"], task_model.collator, config.batch_tokens, context.seed)
    dev = DevEvaluator(task, splits["dev"], rows["dev"], task_model.collator, config.batch_tokens)
    set_trainable(task_model.model, config, context.seed)
    is_standardised = config.train == "head" and config.standardise is not False
    rate = default_rate(task_model.model.encoder, config.train, standardised=is_standardised)
    training = config.training(batches.sampler.per_epoch, rate)
    epochs = training.steps // batches.sampler.per_epoch
    context.note(
        f"epochs: {epochs}, updates: {training.steps:,}, peak learning rate: {training.learning_rate:.2g}"
    )
    loss = loss_settings(task_model, config, rows["train"])
    criterion = task.output.criterion(task_model.collator.answers, loss)
    if is_standardised:
        task_model.model.to(context.device)
        standardise(task_model.model, task_model.collator, rows["train"], 4 * config.batch_tokens)
    state = train(task_model.model, batches, criterion, training, context, dev)
    task_model.model.eval()
    make_plain(task_model.model)
    merge_lora(task_model.model.encoder)
    if config.calibrate:
        calibrate(task_model, splits["dev"], rows["dev"], 4 * config.batch_tokens, context)
    measure(task_model, splits, rows, 4 * config.batch_tokens, context, config.slices)
    made_by = provenance("finetune", inputs, config, context, state)
    if isinstance(task.output, TextOutput) and (style := writer_of(task_model.config).prompt_style):
        made_by["prompt_style"] = style
    fine_tuned.save(context.out, task_model, made_by)
    if inputs.linked is not None and task_model.knowledge is not None:
        link_folder(inputs.linked.folder / LINKER, context.out / LINKER)


def missing_inputs(config: FinetuneConfig, given: Collection[str]) -> Iterator[ConfigConflict]:
    """Settings and inputs that are missing or given twice. `given`: names of the filled inputs."""
    task = TASKS[config.task]
    made_by_a_stage = "data" in given
    is_twice = config.data is not None and made_by_a_stage
    is_missing = config.data is None and not made_by_a_stage and not (task.of_linked and "linked" in given)
    if is_twice or is_missing:
        made = "`inputs: {linked: link}`" if task.of_linked else "`inputs: {data: graph-dataset}`"
        yield ConfigConflict(
            "data", f"give the training data, either by `data: {{train: FILE}}` or by {made}"
        )
    if ("start" in given) == (config.base is not None):
        yield ConfigConflict(
            "base",
            "give the model to start from, either by `inputs: {start: pretrain}` or by `base: {from: minilm}`",
        )
    elif config.base is not None and config.base.trained is None and config.tokenizer is None:
        yield ConfigConflict(
            "tokenizer",
            "a newly initialised base needs one, such as a folder or a vocab.txt: set `tokenizer: FOLDER`",
        )
    for source, slot, stage in (("linker", "linked", "link"), ("names", "graph", "graph")):
        if config.mentions == source and slot not in given:
            yield ConfigConflict("mentions", f"`{source}` needs an input: set `inputs: {{{slot}: {stage}}}`")


def _data(inputs: FinetuneInputs, config: FinetuneConfig, scratch: Path) -> Data:
    """The task's files, from the settings or from a stage; those of a linked text are written to `scratch`."""
    if config.data is not None:
        return config.data
    if inputs.data is None:
        assert inputs.linked is not None
        return _links_as_data(inputs.linked, scratch)
    folder = inputs.data.folder
    return Data.model_validate({split: folder / f"{split}.jsonl" for split in ("train", "dev", "test")})


def _links_as_data(linked: Linked, scratch: Path) -> Data:
    """The documents of a linked text with their links, without given ones (`gold`). `dev`: the held-out documents."""
    from kepipe.data.document_files import held_out

    share = linked.held_out_share()
    files = {split: scratch / f"linked-{split}.jsonl" for split in ("train", "dev")}
    with ExitStack() as stack:
        source = stack.enter_context((linked.folder / "documents.jsonl").open(encoding="utf-8"))
        streams = {
            split: stack.enter_context(file.open("w", encoding="utf-8")) for split, file in files.items()
        }
        for line in source:
            document = {name: value for name, value in json.loads(line).items() if name != "gold"}
            split = "dev" if held_out(document["id"], share) else "train"
            streams[split].write(json.dumps(document, ensure_ascii=False) + "\n")
    return Data(train=files["train"], dev=files["dev"] if files["dev"].stat().st_size else None)


def conflicts(stage: Planned) -> Iterator[ConfigConflict]:
    """Missing settings, and settings that the model does not support."""
    from kepipe.finetuning.starting import too_long

    config: FinetuneConfig = stage.config
    yield from missing_inputs(config, [slot for slot, stages in stage.inputs.items() if stages])
    yield from fine_tuning_conflicts(stage)
    try:
        model = preview.starting_model(stage)
    except ConfigConflict as conflict:
        yield conflict
        return
    if model is not None and not preview.is_encoder(model):
        yield ConfigConflict(
            "inputs.start", f"{preview.display_name(stage)} is not an encoder, which a task needs"
        )
        return
    context = KnowledgeContext(model, config.length)
    yield from preview.knowledge_conflicts(stage, context)
    if model is not None:
        yield from too_long(config, model)
        output = TASKS[config.task].output
        if isinstance(output, TextOutput):
            if reason := cannot_write(model):
                yield ConfigConflict("task", reason)
            elif reason := no_room(model, config.length, config.generation.max_new_tokens):
                yield ConfigConflict("generation.max_new_tokens", reason)


def _needs(config: FinetuneConfig, _given: Mapping[str, type[Artifact]]) -> tuple[str, ...]:
    resource = TASKS[config.task].resource
    return (*inputs_of(config.knowledge), *(() if resource is None else resource.inputs))


def _fingerprint(config: FinetuneConfig) -> Mapping[str, str]:
    files = {} if config.data is None else config.data.files()
    digests = {f"data/{split}": digest_source(file) for split, file in files.items()}
    if config.base is not None:
        digests |= fingerprint(config.base)
    digests |= teacher_fingerprint(config.distillation)
    if config.tokenizer is not None:
        digests |= {
            f"tokenizer/{name}": digest for name, digest in tokenizer_digests(config.tokenizer).items()
        }
    return digests


def _figures(stage: Planned) -> Collection[str] | None:
    """Metrics of each split, and those logged during training."""
    config: FinetuneConfig = stage.config
    metrics = TASKS[config.task].metrics
    if not metrics:
        return None
    tested = config.data is None or config.data.test is not None
    of_halves = [f"{half}/{name}" for half in names_of_halves(config.slices) for name in metrics]
    splits = ("test", "dev") if tested else ("dev",)
    measured = [f"{split}/{name}" for split in splits for name in (*metrics, *of_halves)]
    return [
        *measured,
        *(f"held_out_{name}" for name in metrics),
        "held_out_error",
        *TRAINING_FIGURES,
        *COUNTS,
    ]


def _inspect(stage: Planned) -> Iterator[str]:
    from kepipe.finetuning.inspection import inspect

    return inspect(stage.config)


def _sizes(config: FinetuneConfig) -> Mapping[str, FinetuneConfig]:
    """One variant for each number of examples in `max_train`."""
    if config.data is None or not isinstance(config.data.max_train, tuple):
        return {}
    return {
        "all" if size is None else str(size): config.model_copy(
            update={"data": config.data.model_copy(update={"max_train": size})}
        )
        for size in config.data.max_train
    }


FINETUNE = Stage(
    "finetune",
    10,
    FinetuneInputs,
    FinetuneConfig,
    FineTuned,
    finetune,
    _fingerprint,
    conflicts,
    _needs,
    figures=_figures,
    inspect=_inspect,
    variants=_sizes,
)
