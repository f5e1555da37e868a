"""Stage `shards`: linked documents → a tokenizer, and tokens in memory-mapped columns, train and held out.

The documents are parsed once. Where a tokenizer is trained on them first, what was parsed waits in the scratch folder,
in columns, and is tokenised from there.
"""

from __future__ import annotations

import shutil
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import Field

from kepipe.config import ConfigConflict, Section, UserSource
from kepipe.flow.stage import Planned, Stage, StageContext
from kepipe.stages.artifacts import Linked, Shards
from kepipe.tokenization.table import KindName, described

if TYPE_CHECKING:
    from kepipe.data.parsed_chunks import ParsedChunks
    from kepipe.tokenization.tokenizer import Tokenizer


class TokenizerConfig(Section):
    """Which tokenizer: one that exists (`from`), or one trained on the training documents."""

    from_: UserSource | None = Field(None, alias="from")
    """`minilm`, a tokenizer's folder, a vocab.txt, or a hub id; none: train one of `kind` and `size`."""
    kind: KindName = Field("wordpiece", description=f"{described()}.")
    size: int = Field(16384, ge=300)
    """Entries of a trained vocabulary, special tokens included."""
    lowercase: bool = True
    """Ignore case when training; byte-level BPE always keeps it."""


class ShardsConfig(Section):
    """How text becomes tokens."""

    tokenizer: TokenizerConfig = TokenizerConfig()
    """The tokenizer. None given: that of the trained model from which the stages that take the shards start, if they
    all start from one; else one is trained."""


@dataclass(frozen=True)
class ShardsInputs:
    """The documents to tokenise, and perhaps other shards, whose tokenizer these are to have too."""

    linked: Linked
    tokenizer: Shards | None = None


def shards(inputs: ShardsInputs, config: ShardsConfig, context: StageContext) -> None:
    """Write `tokenizer/`, `train/`, `held_out/` and `entities.txt`. ValueError where no text is left to train on."""
    from kepipe.data.parsed_chunks import ParsedChunks
    from kepipe.data.sharding import ShardProgress, publish, write_shards

    file, share = inputs.linked.folder / "documents.jsonl", inputs.linked.held_out_share()
    trained = inputs.tokenizer is None and config.tokenizer.from_ is None
    chunks = ParsedChunks(file, share, context.scratch / "documents" if trained else None)
    tokenizer = _tokenizer(inputs, config.tokenizer, chunks, context)
    progress = ShardProgress.open(context.scratch)
    if progress.documents:
        context.note(f"continuing after {progress.documents:,} documents")
    with context.progress("tokenising", file.stat().st_size, "bytes", done=progress.offset) as tick:
        for size in write_shards(chunks, tokenizer, progress, context.scratch):
            tick(size)
    figures = publish(progress, context.scratch, context.out, share)
    shutil.copytree(context.scratch / "tokenizer", context.out / "tokenizer")
    context.log({**figures, "vocabulary": tokenizer.vocab_size})
    context.note(
        f"{figures['tokens']:,} + {figures['held_out_tokens']:,} tokens, {figures['tokens_per_word']:.2f} a word, "
        f"{figures['unknown']:.2%} unknown; {figures['aligned']:,} of {figures['mentions']:,} mentions aligned"
    )
    if share and not figures["held_out_tokens"]:
        context.warn(
            "no document fell into the held-out part: nothing can be evaluated; raise `held_out` of the corpus"
        )


def _tokenizer(
    inputs: ShardsInputs, config: TokenizerConfig, chunks: ParsedChunks, context: StageContext
) -> Tokenizer:
    """The tokenizer, made once: a later attempt finds it in the scratch folder."""
    from kepipe.data.parsed_chunks import TrainingTexts
    from kepipe.tokenization.tokenizer import load_tokenizer
    from kepipe.tokenization.training import train_tokenizer

    folder = context.scratch / "tokenizer"
    if folder.exists():
        try:
            return load_tokenizer(folder)
        except ValueError:  # damaged since
            shutil.rmtree(folder)
    unfinished = folder.with_suffix(".unfinished")
    if inputs.tokenizer is not None:  # its files unchanged
        shutil.copytree(inputs.tokenizer.folder / "tokenizer", unfinished, dirs_exist_ok=True)
    elif config.from_ is not None:
        load_tokenizer(config.from_).save(unfinished)
    else:
        with context.progress(f"training a {config.kind} tokenizer", unit="documents") as tick:
            texts = TrainingTexts(chunks, tick)
            train_tokenizer(texts, config.kind, config.size, config.lowercase).save(unfinished)
    unfinished.rename(folder)
    return load_tokenizer(folder)


def fingerprint(config: ShardsConfig) -> Mapping[str, str]:
    """Digests of a tokenizer's files on this machine; a hub id stands for itself."""
    from kepipe.tokenization.digests import tokenizer_digests

    return {} if config.tokenizer.from_ is None else tokenizer_digests(config.tokenizer.from_)


def conflicts(stage: Planned) -> Iterator[ConfigConflict]:
    """A tokenizer that cannot be read."""
    from kepipe.stages import preview

    try:
        preview.read_tokenizer(stage)
    except ValueError as reason:
        yield ConfigConflict("tokenizer.from", str(reason))


def infer_defaults(config: ShardsConfig, _inputs: Collection[str], takers: Sequence[Section]) -> ShardsConfig:
    """The tokenizer of the trained base of the stages that train on the shards, where none is given."""
    bases = {base.trained for taker in takers if (base := getattr(taker, "base", None)) is not None} - {None}
    if "tokenizer" in config.model_fields_set or len(bases) != 1:
        return config
    (base,) = bases
    return config.model_copy(update={"tokenizer": config.tokenizer.model_copy(update={"from_": base})})


SHARDS = Stage(
    "shards",
    3,
    ShardsInputs,
    ShardsConfig,
    Shards,
    shards,
    fingerprint,
    conflicts,
    infer_defaults=infer_defaults,
)
