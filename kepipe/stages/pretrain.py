"""Stage `pretrain`: shards + a base → a model trained to an objective. A control arm changes only the objective."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from kepipe.flow.stage import Stage, Work
from kepipe.models.families import Base, build, fingerprint
from kepipe.objectives import table
from kepipe.objectives.mlm import MLM
from kepipe.stages.artifacts import Model, Shards
from kepipe.train.settings import Training

if TYPE_CHECKING:
    from kepipe.corpus.batches import Batches
    from kepipe.corpus.tokenizer import Tokenizer
    from kepipe.models.transformer import Transformer
    from kepipe.train.held_out import HeldOut

PAIRS = ("segment-pair", "sentence-pair")


class PretrainConfig(Training):
    """What is trained, on what, and to which end."""

    base: Base = Base()
    """The model that training starts from."""
    objective: table.AnyObjective = MLM()
    """What is learned: a name, or `name:` with settings."""
    format: Literal["segment-pair", "sentence-pair", "full-sentences", "doc-sentences", "packed"] = (
        "doc-sentences"
    )
    """What a row is made of (Liu et al. 2019, §4.2); packed: rows of exactly `length` tokens."""
    length: int = Field(128, ge=8)
    """Longest row in tokens, special tokens included."""
    isolate: bool = False
    """Hide the documents that share a row from one another."""


@dataclass(frozen=True)
class PretrainInputs:
    """The text."""

    shards: Shards


def pretrain(inputs: PretrainInputs, config: PretrainConfig, work: Work) -> None:
    """Train and write a model folder. Raises ValueError where base, tokenizer, objective and format do not fit.

    The seed gives the first weights and the order of the text, whatever the objective: arms differ in nothing
    else.
    """
    from kepipe.corpus.tokenizer import load_tokenizer
    from kepipe.models import folder
    from kepipe.train.loop import train

    tokenizer = load_tokenizer(inputs.shards.folder / "tokenizer")
    model = build(config.base, tokenizer.vocab_size, work.seed, work.note)
    check_fit(config, model)
    objective = table.build(config.objective, tokenizer)
    batches = open_split("train", inputs.shards, tokenizer, config, work.seed)
    work.dataset(
        "shards/train",
        inputs.shards.digest,
        {"tokens": len(batches.shard), "rows": len(batches.examples), "batches_per_epoch": batches.per_epoch},
    )
    held_out = open_held_out(inputs.shards, tokenizer, config, work)
    progress = train(model, objective, batches.render, config, work, held_out)
    epochs = progress.step * config.accumulate / batches.per_epoch
    work.log({"epochs": epochs, "parameters": sum(p.numel() for p in model.parameters())})
    if held_out is not None:
        work.log({"final_held_out_loss": progress.latest, "best_held_out_loss": progress.best})
    provenance = {
        "stage": "pretrain",
        "config": config.model_dump(mode="json", by_alias=True),
        "seed": work.seed,
        "shards": inputs.shards.digest,
        "steps": progress.step,
        "best_step": progress.best_step,
    }
    folder.save(work.out, model, tokenizer=inputs.shards.folder / "tokenizer", provenance=provenance)


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
    made_of, pairs = model.config, config.format in PAIRS
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
    if pairs and getattr(config.objective, "next_sentence", False) and not made_of.next_sentence:
        raise ValueError(
            f"base {base} has no head for the next sentence: set `next_sentence: false` in the objective"
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


def open_held_out(shards: Shards, tokenizer: Tokenizer, config: PretrainConfig, work: Work) -> HeldOut | None:
    """What the held-out loss is measured on: the same text and the same hidden tokens for all arms and seeds."""
    from kepipe.corpus.shards import open_shard
    from kepipe.train.held_out import DRAW, HeldOut

    if not len(open_shard(shards.folder / "held_out")):
        work.warn("no text is held out: the held-out loss is not measured")
        return None
    yardstick = table.row_of(config.objective).yardstick or config.objective
    batches = open_split("held_out", shards, tokenizer, config, DRAW)
    wanted = -(-config.eval_tokens * config.accumulate // config.batch_tokens)
    return HeldOut(table.build(yardstick, tokenizer), batches.render, min(wanted, batches.per_epoch))


def _fingerprint(config: PretrainConfig) -> Mapping[str, str]:
    return fingerprint(config.base)


PRETRAIN = Stage("pretrain", 1, PretrainInputs, PretrainConfig, Model, pretrain, _fingerprint)
