"""Stage `pretrain`: shards + a base → a model trained to an objective. A control arm changes only the objective."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from kepipe.config import key_part
from kepipe.flow.stage import Stage, Work
from kepipe.inject.settings import Inject
from kepipe.models.families import Base, build, fingerprint
from kepipe.objectives import table
from kepipe.objectives.mlm import MLM
from kepipe.stages.artifacts import Graph, Model, Shards, Vectors
from kepipe.train.settings import Training

if TYPE_CHECKING:
    from kepipe.batch import Sequences
    from kepipe.corpus.batches import Batches
    from kepipe.corpus.tokenizer import Tokenizer
    from kepipe.models.entities import EntityVectors
    from kepipe.models.transformer import Transformer
    from kepipe.objectives.contract import Objective
    from kepipe.train.held_out import HeldOut

    Dress = Callable[[Sequences], Sequences]
    """What is laid over the rows before they are corrupted."""
    Wrap = Callable[[Objective], Objective]
    """What is done to rows after they are corrupted."""

PAIRS = ("segment-pair", "sentence-pair", "dialogue")
"""Formats whose rows have two segments, and a label that says whether they belong together."""


class PretrainConfig(Training):
    """What is trained, on what, and to which end."""

    base: Base = Base()
    """The model that training starts from."""
    objective: table.AnyObjective = MLM()
    """What is learned: a name, or `name:` with settings."""
    format: Literal[
        "segment-pair", "sentence-pair", "full-sentences", "doc-sentences", "packed", "dialogue"
    ] = "doc-sentences"
    """What a row is made of (Liu et al. 2019, §4.2); packed: rows of exactly `length` tokens; dialogue: three turns."""
    length: int = Field(128, ge=8)
    """Longest row in tokens, special tokens included."""
    isolate: bool = False
    """Hide the documents that share a row from one another."""
    inject: Inject | None = None
    """Which triples of the input `graph` are written into the rows, and how; without that input none are."""


@dataclass(frozen=True)
class PretrainInputs:
    """The text; a model to start from: that of an earlier stage, in place of `base`; the vectors of the graph's
    entities, for a base with `fusion`; a graph whose triples are written into the text."""

    shards: Shards
    start: Model | None = None
    vectors: Vectors | None = None
    graph: Graph | None = None


def pretrain(inputs: PretrainInputs, config: PretrainConfig, work: Work) -> None:
    """Train and write a model folder. Raises ValueError where base, tokenizer, objective and format do not fit.

    The seed gives the first weights and the order of the text, whatever the objective: arms differ in nothing
    else.
    """
    if config.processes == 1:
        fit(inputs, config, work)
        return
    from kepipe.train import processes

    processes.run(fit, inputs, config, work, config.processes)


def fit(inputs: PretrainInputs, config: PretrainConfig, work: Work) -> None:
    """The stage's work in one process; where there are several, the first writes the model folder."""
    from kepipe.corpus.tokenizer import load_tokenizer
    from kepipe.models import folder
    from kepipe.train.loop import train
    from kepipe.train.processes import leads

    tokenizer = load_tokenizer(inputs.shards.folder / "tokenizer")
    special = {"pad": tokenizer.pad, "sep": tokenizer.sep}
    base = config.base if inputs.start is None else take_up(inputs.start, inputs.shards, config.base)
    entities = open_entities(inputs.vectors, base)
    model = build(base, tokenizer.vocab_size, work.seed, work.note, special, entities)
    check_fit(config, model)
    if model.config.fusion is None:
        entities = None
    wrap = wrapper(inputs, config, tokenizer, model, work)
    objective = wrap(table.build(config.objective, tokenizer))
    batches = open_split("train", inputs.shards, tokenizer, config, work.seed)
    dress = dresser(inputs.shards, entities, work)
    work.dataset(
        "shards/train",
        inputs.shards.digest,
        {"tokens": len(batches.shard), "rows": len(batches.examples), "batches_per_epoch": batches.per_epoch},
    )
    held_out = open_held_out(inputs.shards, tokenizer, config, work, dress, wrap)
    progress = train(model, objective, lambda n: dress(batches.render(n)), config, work, held_out)
    if not leads():
        return
    epochs = progress.step * config.accumulate / batches.per_epoch
    work.log({"epochs": epochs, "parameters": sum(p.numel() for p in model.parameters())})
    if held_out is not None:
        work.log({"final_held_out_loss": progress.latest, "best_held_out_loss": progress.best})
        if told := measure_own(model, objective, inputs.shards, tokenizer, config, work, dress):
            work.log(told)
    provenance = {
        "stage": "pretrain",
        "config": key_part(config),
        "seed": work.seed,
        "shards": inputs.shards.digest,
        "start": "" if inputs.start is None else inputs.start.digest,
        "vectors": "" if inputs.vectors is None else inputs.vectors.digest,
        "graph": "" if inputs.graph is None else inputs.graph.digest,
        "steps": progress.step,
        "best_step": progress.best_step,
    }
    folder.save(
        work.out,
        model,
        tokenizer=inputs.shards.folder / "tokenizer",
        provenance=provenance,
        entities=entities,
    )


def take_up(start: Model, shards: Shards, base: Base) -> Base:
    """The model of an earlier stage as a base, with the dropout that `base` asks for.

    Raises ValueError where the shards were made with another tokenizer than that model's.
    """
    ours, theirs = (
        (folder / "tokenizer.json").read_bytes() for folder in (shards.folder / "tokenizer", start.folder)
    )
    if ours != theirs:
        raise ValueError(
            f"`{start.name}` was trained with another tokenizer than that of `{shards.name}`: give `{shards.name}` the "
            "tokenizer of the shards that it was trained on, `inputs: {tokenizer: …}`"
        )
    return Base.model_validate({"from": str(start.folder), "dropout": base.dropout})


def open_entities(vectors: Vectors | None, base: Base) -> EntityVectors | None:
    """The vectors of the graph's entities: the stage's input, or those in the folder of a base that fuses them."""
    from kepipe.models.entities import EntityVectors, has_vectors
    from kepipe.models.trained import locate

    if vectors is not None:
        return EntityVectors.open(vectors.folder)
    if base.trained is not None and has_vectors(locate(base.trained)):
        return EntityVectors.open(locate(base.trained))
    return None


def dresser(shards: Shards, entities: EntityVectors | None, work: Work) -> Dress:
    """What lays the entities over the rows of these shards; nothing does where there are none.

    Logs how many mentions of the training text are linked, and how many of these have a vector.
    """
    if entities is None:
        return lambda sequences: sequences
    from kepipe.corpus.align import coverage
    from kepipe.corpus.shards import open_shard
    from kepipe.models.entities import mention_starts
    from kg.vectors import read_ids

    ids = read_ids(shards.folder / "entities.txt")
    rows_of = entities.rows(ids)
    train = open_shard(shards.folder / "train")
    found = coverage(train.bounds, train.entities, rows_of)
    work.log(found)
    said = (
        f"{found['mentions_with_vector']:,} of {found['mentions']:,} linked mentions have a vector; "
        f"{found['entities_with_vector']:,} of {found['entities']:,} entities"
    )
    if found["mentions_with_vector"]:
        work.note(said)
    else:
        work.warn(f"{said}: the model learns nothing of the graph. Are text and vectors of the same graph?")
    return lambda sequences: replace(sequences, links=mention_starts(sequences, rows_of), vectors=entities)


def wrapper(
    inputs: PretrainInputs, config: PretrainConfig, tokenizer: Tokenizer, model: Transformer, work: Work
) -> Wrap:
    """What writes triples of the graph into corrupted rows; leaves objectives as they are where there is no graph.

    Raises ValueError where the objective or the length of rows does not allow it.
    """
    if inputs.graph is None:
        if config.inject is not None:
            work.note("no input `graph`: no triples are injected")
        return lambda objective: objective
    from kepipe.inject.injector import Injector
    from kepipe.objectives.injected import Injected
    from kg.store import open_graph
    from kg.vectors import read_ids

    settings, row = config.inject or Inject(), table.row_of(config.objective)
    if row.stack == "encoder-decoder" or row.links:
        name = getattr(config.objective, "name", "")
        raise ValueError(
            f"inject: objective {name} does not restore tokens where they stand; mlm, ernie-baidu, unilm, causal-lm do"
        )
    if settings.length < config.length:
        raise ValueError(
            f"inject: length {settings.length} would cut the text, whose rows have {config.length} tokens: "
            f"set `inject: {{length: {2 * config.length}}}` to have room for triples"
        )
    injector = Injector(
        open_graph(inputs.graph.folder),
        tokenizer,
        settings,
        causal=model.encoder is None,
        positions=model.config.positions,
        vectors=None if inputs.vectors is None else inputs.vectors.folder,
    )
    rows_of = injector.map_ids(read_ids(inputs.shards.folder / "entities.txt"))
    known = int((rows_of >= 0).sum())
    said = f"{known:,} of {len(rows_of) - 1:,} entities of the text are in the graph"
    if known:
        work.note(said)
    else:
        work.warn(f"{said}: nothing is injected. Were the texts linked to this graph?")
    return lambda objective: Injected(objective, injector, rows_of)


def check_fit(config: PretrainConfig, model: Transformer) -> None:
    """Raise ValueError where the model cannot do what objective and format ask of it."""
    row = table.row_of(config.objective)
    name, base = getattr(config.objective, "name", ""), config.base.trained or config.base.family
    stacks = [kind for kind in ("encoder", "decoder") if getattr(model, kind) is not None]
    if "-".join(stacks) != row.stack:
        families = {"encoder": "bert or roberta", "decoder": "gpt2", "encoder-decoder": "bart or t5"}
        raise ValueError(
            f"objective {name} trains an {row.stack}, and base {base} is {' and '.join(stacks)} alone: "
            f"set base to a {families[row.stack]}, or choose another objective"
        )
    if row.formats and config.format not in row.formats:
        raise ValueError(
            f"objective {name} learns from rows of another kind: set `format: {row.formats[0]}`, not {config.format}"
        )
    made_of, pairs = model.config, config.format in PAIRS
    if row.links and made_of.fusion is None:
        raise ValueError(
            f"objective {name} learns of entities, and base {base} is a plain model: set `fusion: {{}}` in base and "
            "`inputs: {vectors: embed}` in the stage"
        )
    if 0 < made_of.positions < config.length:
        raise ValueError(
            f"length: {config.length} tokens, base {base} has {made_of.positions} positions: set length to that"
        )
    needed = {
        "segments": 6 if getattr(config.objective, "mode_segments", False) else 2 if pairs else 0,
        "tasks": len(getattr(config.objective, "of", ())) if getattr(config.objective, "tasks", False) else 0,
    }
    for kind, count in needed.items():
        if getattr(made_of, kind) < count:
            raise ValueError(
                f"objective {name} with format {config.format} needs a base with {count} {kind}, "
                f"{base} has {getattr(made_of, kind)}: set `{kind}: {count}` in base"
            )
    for setting in ("next_sentence", "tell_fakes"):
        if pairs and getattr(config.objective, setting, False) and not made_of.next_sentence:
            raise ValueError(
                f"base {base} has no head that judges rows: set `{setting}: false` in the objective"
            )


def open_split(
    split: str, shards: Shards, tokenizer: Tokenizer, config: PretrainConfig, seed: int
) -> Batches:
    """Batches of "train" or "held_out", one part of an update each."""
    from kepipe.corpus.batches import open_batches
    from kepipe.corpus.shards import open_shard

    return open_batches(
        open_shard(shards.folder / split),
        tokenizer,
        format=config.format,
        length=config.length,
        tokens=config.batch_tokens // config.accumulate,
        seed=seed,
        begin=table.row_of(config.objective).begin,
        isolate=config.isolate,
    )


def open_held_out(
    shards: Shards, tokenizer: Tokenizer, config: PretrainConfig, work: Work, dress: Dress, wrap: Wrap
) -> HeldOut | None:
    """What the held-out loss is measured on: the same text and the same hidden tokens for all arms and seeds."""
    from kepipe.corpus.shards import open_shard
    from kepipe.train.held_out import DRAW, HeldOut

    if not len(open_shard(shards.folder / "held_out")):
        work.warn("no text is held out: the held-out loss is not measured")
        return None
    yardstick = table.row_of(config.objective).yardstick or config.objective
    batches = open_split("held_out", shards, tokenizer, config, DRAW)
    wanted = -(-config.eval_tokens * config.accumulate // config.batch_tokens)
    count = min(wanted, batches.per_epoch)
    return HeldOut(wrap(table.build(yardstick, tokenizer)), lambda n: dress(batches.render(n)), count)


def measure_own(
    model: Transformer,
    objective: Objective,
    shards: Shards,
    tokenizer: Tokenizer,
    config: PretrainConfig,
    work: Work,
    dress: Dress,
) -> dict[str, float]:
    """What the objective itself says of the held-out text at the end, where it tells more than its loss.

    The held-out loss is that of a yardstick that all arms share; the accuracy with which entities are named is not
    part of it.
    """
    from kepipe.objectives.contract import measures
    from kepipe.train.held_out import DRAW, HeldOut
    from kepipe.train.machine import Trained, accelerator, choose_precision

    if not measures(objective):
        return {}
    machine = accelerator(choose_precision(config.precision, work.device), work.device)
    batches = open_split("held_out", shards, tokenizer, config, DRAW)
    wanted = -(-config.eval_tokens * config.accumulate // config.batch_tokens)
    own = HeldOut(objective, lambda n: dress(batches.render(n)), min(wanted, batches.per_epoch))
    found = own.measure(machine, machine.prepare_model(Trained(model), evaluation_mode=True))
    return {f"final_{name}": value for name, value in found.items() if name != "held_out_loss"}


def _fingerprint(config: PretrainConfig) -> Mapping[str, str]:
    return fingerprint(config.base)


PRETRAIN = Stage("pretrain", 2, PretrainInputs, PretrainConfig, Model, pretrain, _fingerprint)
