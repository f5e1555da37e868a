"""Stage `shards`: linked documents → a tokenizer, and tokens in memory-mapped columns, train and held out."""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import Field

from kepipe.config import ConfigConflict, Section, UserSource
from kepipe.data.document import Document
from kepipe.flow.artifact import hash_file
from kepipe.flow.stage import Planned, Stage, StageContext, Tick
from kepipe.stages.artifacts import Linked, Shards

if TYPE_CHECKING:
    from kepipe.data.shards import ShardWriter
    from kepipe.tokenization.tokenizer import Tokenizer

CHUNK = 1_000_000
"""Characters that are tokenised together."""
NOTE_EVERY = 5.0
"""Seconds between two notes of progress, from which an interrupted stage continues."""


class TokenizerConfig(Section):
    """Which tokenizer: one that exists (`from`), or one trained on the training documents."""

    from_: UserSource | None = Field(None, alias="from")
    """`minilm`, a tokenizer's folder, a vocab.txt, or a hub id; none: train one of `kind` and `size`."""
    kind: Literal["wordpiece", "bpe", "unigram", "characters"] = "wordpiece"
    """WordPiece (BERT), byte-level BPE (GPT, RoBERTa, BART), Unigram (T5), Chinese characters (Chinese BERT)."""
    size: int = Field(16384, ge=300)
    """Entries of a trained vocabulary, special tokens included."""
    lowercase: bool = True
    """Ignore case when training; byte-level BPE always keeps it."""


class ShardsConfig(Section):
    """How text becomes tokens."""

    tokenizer: TokenizerConfig = TokenizerConfig()
    """The tokenizer."""


@dataclass(frozen=True)
class ShardsInputs:
    """The documents to tokenise, and perhaps other shards, whose tokenizer these are to have too."""

    linked: Linked
    tokenizer: Shards | None = None


@dataclass
class Progress:
    """What is done so far: enough to continue after a kill."""

    documents: int = 0
    mentions: int = 0
    aligned: int = 0
    words: int = 0
    unknown: int = 0
    entities: dict[str, int] = field(default_factory=dict)
    """Entity → row, in the order of appearance."""
    sizes: dict[str, dict[str, int]] = field(default_factory=dict)
    """Split → file → bytes."""


def shards(inputs: ShardsInputs, config: ShardsConfig, context: StageContext) -> None:
    """Write `tokenizer/`, `train/`, `held_out/` and `entities.txt`. ValueError where no text is left to train on."""
    from kepipe.data.document_files import read_documents

    file = inputs.linked.folder / "documents.jsonl"
    share = inputs.linked.held_out_share()
    if inputs.tokenizer is None:
        tokenizer = _tokenizer(file, share, config, context)
    else:
        tokenizer = _adopt(inputs.tokenizer, context)
    progress = _continue(context)
    with file.open("rb") as stream:
        total = sum(1 for _ in stream)
    with context.progress("tokenising", total, "documents", done=progress.documents) as tick:
        documents = islice(read_documents(file), progress.documents, None)
        for done in _write(documents, tokenizer, share, progress, context.scratch):
            tick(done)
    _publish(progress, tokenizer, share, context)


@dataclass(frozen=True)
class TrainingTexts:
    """The texts of a file's training documents, read anew at each iteration; `tick` is called for each."""

    file: Path
    held_out: float
    tick: Tick

    def __iter__(self) -> Iterator[str]:
        from kepipe.data.document_files import held_out, read_documents

        for document in read_documents(self.file):
            if not held_out(document.id, self.held_out):
                self.tick(1)
                yield document.text


def _tokenizer(file: Path, share: float, config: ShardsConfig, context: StageContext) -> Tokenizer:
    """The tokenizer, made once: a later attempt finds it in the scratch folder."""
    from kepipe.tokenization.tokenizer import load_tokenizer
    from kepipe.tokenization.training import train_tokenizer

    folder, wanted = context.scratch / "tokenizer", config.tokenizer
    if folder.exists():
        return load_tokenizer(folder)
    if wanted.from_ is not None:
        tokenizer = load_tokenizer(wanted.from_)
    else:
        with context.progress(f"training a {wanted.kind} tokenizer", unit="documents") as tick:
            texts = TrainingTexts(file, share, tick)
            tokenizer = train_tokenizer(texts, wanted.kind, wanted.size, wanted.lowercase)
    unfinished = folder.with_suffix(".unfinished")
    tokenizer.save(unfinished)
    unfinished.rename(folder)
    return load_tokenizer(folder)


def _adopt(other: Shards, context: StageContext) -> Tokenizer:
    """The tokenizer of other shards, its files unchanged."""
    from kepipe.tokenization.tokenizer import load_tokenizer

    shutil.copytree(other.folder / "tokenizer", context.scratch / "tokenizer", dirs_exist_ok=True)
    return load_tokenizer(context.scratch / "tokenizer")


def _write(
    documents: Iterable[Document], tokenizer: Tokenizer, share: float, progress: Progress, scratch: Path
) -> Iterator[int]:
    """Append the documents to the shards in `scratch`, chunk by chunk; yields how many each chunk had."""
    from kepipe.data.alignment import WORD, tokenise
    from kepipe.data.document_files import held_out
    from kepipe.data.shards import ShardWriter

    unknown = tokenizer.id(tokenizer.named.get("unk", ""))
    with ExitStack() as stack:
        writers = {
            split: stack.enter_context(
                ShardWriter(scratch / split, tokenizer.vocab_size, progress.sizes.get(split))
            )
            for split in ("train", "held_out")
        }
        noted = time.monotonic()
        for chunk in _chunks(documents):
            for split, writer in writers.items():
                part = [d for d in chunk if held_out(d.id, share) == (split == "held_out")]
                if not part:
                    continue
                columns = tokenise(
                    part, tokenizer, lambda e: progress.entities.setdefault(e, len(progress.entities))
                )
                writer.append(columns, (document.id for document in part))
                progress.mentions += columns.mentions
                progress.aligned += columns.aligned
                progress.words += int((columns.bounds & WORD > 0).sum())
                progress.unknown += int((columns.tokens == unknown).sum())
            progress.documents += len(chunk)
            if time.monotonic() - noted > NOTE_EVERY:
                _note(progress, writers, scratch)
                noted = time.monotonic()
            yield len(chunk)
        _note(progress, writers, scratch)
        for writer in writers.values():
            writer.finish()


def _chunks(documents: Iterable[Document]) -> Iterator[list[Document]]:
    """Documents in lists of about CHUNK characters."""
    chunk: list[Document] = []
    size = 0
    for document in documents:
        chunk.append(document)
        size += len(document.text)
        if size >= CHUNK:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


def _note(progress: Progress, writers: Mapping[str, ShardWriter], scratch: Path) -> None:
    progress.sizes = {split: writer.sizes() for split, writer in writers.items()}
    written = scratch / "progress.unfinished"
    written.write_text(json.dumps(asdict(progress), ensure_ascii=False), encoding="utf-8")
    written.replace(scratch / "progress.json")


def _continue(context: StageContext) -> Progress:
    """The progress of an earlier attempt, as far as its files are there."""
    from kepipe.data.shards import holds

    file = context.scratch / "progress.json"
    if file.exists():
        progress = Progress(**json.loads(file.read_text(encoding="utf-8")))
        if all(holds(context.scratch / split, sizes) for split, sizes in progress.sizes.items()):
            context.note(f"continuing after {progress.documents:,} documents")
            return progress
    return Progress()


def _publish(progress: Progress, tokenizer: Tokenizer, share: float, context: StageContext) -> None:
    """Copy the finished shards to `out` and tell what is in them."""
    from kepipe.data.shards import open_shard

    train, held_out = (open_shard(context.scratch / split) for split in ("train", "held_out"))
    if not len(train):
        raise ValueError(
            f"no text to train on: all {progress.documents} documents fall into the held-out share of "
            f"{share}; lower `held_out` of the corpus or add documents"
        )
    if not len(held_out) and share:
        context.warn(
            "no document fell into the held-out part: nothing can be evaluated; raise `held_out` of the corpus"
        )
    unusable = [entity for entity in progress.entities if "\n" in entity]
    if unusable:
        raise ValueError(f"an entity's id must stand on one line: {unusable[0]!r}")
    for part in ("tokenizer", "train", "held_out"):
        shutil.copytree(context.scratch / part, context.out / part)
    (context.out / "entities.txt").write_text("".join(f"{e}\n" for e in progress.entities), encoding="utf-8")
    total = len(train) + len(held_out)
    counts = {
        "tokens": len(train), "held_out_tokens": len(held_out), "vocabulary": tokenizer.vocab_size,
        "tokens_per_word": total / max(progress.words, 1), "unknown": progress.unknown / max(total, 1),
        "entities": len(progress.entities), "mentions": progress.mentions, "aligned": progress.aligned,
    }  # fmt: skip
    context.log(counts)
    context.note(
        f"{len(train):,} + {len(held_out):,} tokens, {counts['tokens_per_word']:.2f} a word, "
        f"{counts['unknown']:.2%} unknown; {progress.aligned:,} of {progress.mentions:,} mentions aligned"
    )


def fingerprint(config: ShardsConfig) -> Mapping[str, str]:
    """Digests of a tokenizer's files on this machine; a hub id stands for itself."""
    from kepipe.model_names import MINILM, minilm_folder

    source = config.tokenizer.from_
    if source is None:
        return {}
    path = minilm_folder() if source == MINILM else Path(source)
    if path.is_file():
        return {path.name: hash_file(path)}
    names = ("tokenizer.json", "tokenizer_config.json", "vocab.txt", "vocab.json", "merges.txt")
    return {name: hash_file(path / name) for name in names if (path / name).is_file()}


def conflicts(stage: Planned) -> Iterator[ConfigConflict]:
    """A tokenizer that cannot be read."""
    from kepipe.stages import preview

    try:
        preview.read_tokenizer(stage)
    except ValueError as reason:
        yield ConfigConflict("tokenizer.from", str(reason))


SHARDS = Stage("shards", 2, ShardsInputs, ShardsConfig, Shards, shards, fingerprint, conflicts)
