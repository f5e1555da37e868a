"""Stage `shards`: linked documents → a tokenizer, and memory-mapped token columns for training and held-out text.

The documents are parsed once. If a tokenizer is trained first, the parsed documents are stored in the scratch folder,
in columns, and tokenised from there. With an existing tokenizer, batches of documents that an earlier run has tokenised
are taken from a cache.
"""

from __future__ import annotations

import shutil
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import Field

from kepipe.config import ConfigConflict, Section, UserSource, runtime_only
from kepipe.data.workers import WorkerPlace
from kepipe.flow.artifact import hash_file, hash_json, link_folder
from kepipe.flow.stage import Planned, Stage, StageContext
from kepipe.linking import LINKER
from kepipe.stages.artifacts import Linked, Shards
from kepipe.tokenization.table import KindName, described

if TYPE_CHECKING:
    from kepipe.data.encoded_chunks import EncodedMemo
    from kepipe.data.parsed_chunks import ParsedChunks
    from kepipe.tokenization.tokenizer import Tokenizer


class TokenizerConfig(Section):
    """The tokenizer: an existing one (`from`), or one trained on the training documents."""

    from_: UserSource | None = Field(None, alias="from")
    """`minilm`, a tokenizer's folder, a vocab.txt, or a hub id. None: train one of `kind` and `size`."""
    kind: KindName = Field("wordpiece", description=f"{described()}.")
    size: int = Field(16384, ge=300)
    """Size of a trained vocabulary, with special tokens."""
    lowercase: bool = True
    """Whether a trained tokenizer ignores case; byte-level BPE never does."""


class ShardsConfig(Section):
    """Settings of the tokenisation."""

    tokenizer: TokenizerConfig = TokenizerConfig()
    """The tokenizer. By default that of the trained model from which all downstream stages start, if there is one;
    otherwise a tokenizer is trained."""
    workers: WorkerPlace = runtime_only(1)
    """Number of processes that tokenise; 1: this process, in whose threads the tokenizer works; -1: one per processor.
    `dask`: as for `link` (docs/scale.md). The result does not depend on it."""


@dataclass(frozen=True)
class ShardsInputs:
    """The documents to tokenise; optionally other shards whose tokenizer is used."""

    linked: Linked
    tokenizer: Shards | None = None


def shards(inputs: ShardsInputs, config: ShardsConfig, context: StageContext) -> None:
    """Write `tokenizer/`, `train/`, `held_out/`, `entities.txt`, and the `linker/` of the text for models that use it.

    Raises ValueError if there is no training text.
    """
    from kepipe.data.encoding import Encoding
    from kepipe.data.parsed_chunks import ParsedChunks
    from kepipe.data.sharding import ShardProgress, publish, write_shards

    file, share = inputs.linked.folder / "documents.jsonl", inputs.linked.held_out_share()
    trained = inputs.tokenizer is None and config.tokenizer.from_ is None
    chunks = ParsedChunks(file, share, context.scratch / "documents" if trained else None)
    tokenizer = _tokenizer(inputs, config.tokenizer, chunks, context)
    memo = None if trained else _memo(context, share)
    encoding = Encoding(chunks, context.scratch / "tokenizer", config.workers, memo)
    progress = ShardProgress.open(context.scratch)
    if progress.documents:
        context.note(f"resuming after {progress.documents:,} documents")
    with context.progress("tokenising", file.stat().st_size, "bytes", done=progress.offset) as tick:
        for size in write_shards(encoding, tokenizer, progress, context.scratch):
            tick(size)
    figures = publish(progress, context.scratch, context.out, share)
    shutil.copytree(context.scratch / "tokenizer", context.out / "tokenizer")
    link_folder(inputs.linked.folder / LINKER, context.out / LINKER)
    context.log({**figures, "vocabulary": tokenizer.vocab_size})
    context.note(
        f"{figures['tokens']:,} + {figures['held_out_tokens']:,} tokens, {figures['tokens_per_word']:.2f} per word, "
        f"{figures['unknown']:.2%} unknown; {figures['aligned']:,} of {figures['mentions']:,} mentions aligned"
    )
    if progress.kept:
        context.note(
            f"tokenised {progress.documents - progress.kept:,} documents; an earlier run has tokenised "
            f"{progress.kept:,}"
        )
    if share and not figures["held_out_tokens"]:
        context.warn(
            "no document was held out, so nothing can be evaluated; increase `held_out` of the corpus"
        )


def _memo(context: StageContext, share: float) -> EncodedMemo | None:
    """The chunks that earlier runs tokenised with the tokenizer in the scratch folder; None if there is no cache."""
    from kepipe.data.encoded_chunks import EncodedMemo

    if context.memo is None:
        return None
    folder = context.scratch / "tokenizer"
    tokenizer = {
        str(file.relative_to(folder)): hash_file(file) for file in folder.rglob("*") if file.is_file()
    }
    return EncodedMemo(context.memo / hash_json([SHARDS.version, tokenizer, share])[:20])


def _tokenizer(
    inputs: ShardsInputs, config: TokenizerConfig, chunks: ParsedChunks, context: StageContext
) -> Tokenizer:
    """The tokenizer; a resumed attempt reuses the one in the scratch folder."""
    from kepipe.data.parsed_chunks import TrainingTexts
    from kepipe.tokenization.tokenizer import load_tokenizer
    from kepipe.tokenization.training import train_tokenizer

    folder = context.scratch / "tokenizer"
    if folder.exists():
        try:
            return load_tokenizer(folder)
        except ValueError:  # damaged
            shutil.rmtree(folder)
    unfinished = folder.with_suffix(".unfinished")
    if inputs.tokenizer is not None:  # copied unchanged
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
    """Digests of a tokenizer's local files; a hub id is used as it is."""
    from kepipe.tokenization.digests import tokenizer_digests

    return {} if config.tokenizer.from_ is None else tokenizer_digests(config.tokenizer.from_)


def conflicts(stage: Planned) -> Iterator[ConfigConflict]:
    """An unreadable tokenizer."""
    from kepipe.stages import preview

    try:
        preview.read_tokenizer(stage)
    except ValueError as reason:
        yield ConfigConflict("tokenizer.from", str(reason))


def infer_defaults(
    config: ShardsConfig, _inputs: Collection[str], downstream: Sequence[Section]
) -> ShardsConfig:
    """By default, the tokenizer of the trained base of the stages that train on the shards."""
    bases = {base.trained for other in downstream if (base := getattr(other, "base", None)) is not None} - {
        None
    }
    if "tokenizer" in config.model_fields_set or len(bases) != 1:
        return config
    (base,) = bases
    return config.model_copy(update={"tokenizer": config.tokenizer.model_copy(update={"from_": base})})


SHARDS = Stage(
    "shards",
    5,
    ShardsInputs,
    ShardsConfig,
    Shards,
    shards,
    fingerprint,
    conflicts,
    infer_defaults=infer_defaults,
)
