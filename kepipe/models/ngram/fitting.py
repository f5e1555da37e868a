"""Fitting: from a text's tokens to the folder of an n-gram model."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kepipe.arrays import Floats, Ints
from kepipe.data.alignment import DOCUMENT, SENTENCE
from kepipe.models.config import CONFIG
from kepipe.models.files import copy_tokenizer, write_json
from kepipe.models.folder import PROVENANCE
from kepipe.models.ngram.config import NgramBase, NgramConfig
from kepipe.models.ngram.counting import BOS, EOS, Counts, count
from kepipe.models.ngram.estimation import Estimator
from kepipe.models.ngram.model import NgramModel
from kepipe.models.ngram.pruning import Pruning
from kepipe.models.ngram.smoothing import SMOOTHINGS
from kepipe.models.ngram.tables import NgramTables, TableWriter
from kepipe.models.ngram.vocabulary import is_unknown, match, save_words, words_of
from kepipe.tokenization.tokenizer import load_tokenizer

if TYPE_CHECKING:
    from kepipe.data.shards import Shard

STRETCH = 1 << 22
"""Number of tokens read at a time."""


def word_stretches(shard: Shard, of_token: Ints, *, sentences: bool) -> Iterator[Ints]:
    """A shard's tokens as words, with BOS before and EOS after each text: a document, or each of its sentences."""
    bit = DOCUMENT | SENTENCE if sentences else DOCUMENT
    for start in range(0, len(shard), STRETCH):
        stop = min(start + STRETCH, len(shard))
        words_T = of_token[np.asarray(shard.tokens[start:stop], np.int64)]
        begins = np.flatnonzero(shard.bounds[start:stop] & bit)
        at = np.repeat(begins, 2)
        marks = np.tile(np.array([EOS, BOS]), len(begins))
        if start == 0:  # a shard begins with a document; nothing ends before the first
            if not len(begins) or begins[0] > 0:
                at, marks = np.append(0, at), np.append(BOS, marks)
            else:
                at, marks = at[1:], marks[1:]
        if stop == len(shard):
            at, marks = np.append(at, len(words_T)), np.append(marks, EOS)
        yield np.insert(words_T, at, marks)


def fit(
    base: NgramBase,
    shard: Shard,
    tokenizer: Path,
    folder: Path,
    scratch: Path,
    tick: Callable[[int], None] = lambda _: None,
) -> dict[str, float]:
    """Count a shard and write a model's folder, except for its provenance; returns the numbers of n-grams, by name.

    `tick` is called with the number of tokens, `order` times the text in total. Raises ValueError if there is no text.
    """
    opened = load_tokenizer(tokenizer)
    words = words_of(opened)
    vocabulary = match(words, opened)
    stretches = word_stretches(shard, vocabulary.of_token, sentences=base.sentences)
    counts = count(stretches, len(words), base.order, scratch, tick)
    pruning = Pruning.of(base.prune, base.order)
    Estimator(counts, SMOOTHINGS[base.smoothing], pruning, base.k).write(TableWriter(folder))
    save_words(folder, words)
    config = NgramConfig(
        order=base.order,
        bits=counts.bits,
        vocabulary=opened.vocab_size,
        smoothing=base.smoothing,
        sentences=base.sentences,
    )
    write_json(folder / CONFIG, config.to_json())
    copy_tokenizer(tokenizer, folder)
    return _sizes(counts, folder)


def _sizes(counts: Counts, folder: Path) -> dict[str, float]:
    sizes = [len(np.load(folder / f"log_probs-{n}.npy", mmap_mode="r")) for n in range(1, counts.order + 1)]
    return {f"ngrams_{n}": size for n, size in enumerate(sizes, 1)}


def save(
    folder: Path, tables: NgramTables, words: list[str], tokenizer: Path, made_by: Mapping[str, Any]
) -> None:
    """Write an imported model to a folder."""
    writer = TableWriter(folder)
    writer.words(tables.log_probs[0])
    for order in range(2, tables.order + 1):
        writer.start(order, tables.sizes[order - 1])
        writer.append(tables.keys[order - 2], tables.log_probs[order - 1])
        writer.weights(order - 1, 10.0 ** tables.weights[order - 2].astype(np.float64))
    save_words(folder, words)
    vocabulary = load_tokenizer(tokenizer).vocab_size
    config = NgramConfig(order=tables.order, bits=tables.bits, vocabulary=vocabulary)
    write_json(folder / CONFIG, config.to_json())
    if tokenizer != folder:
        copy_tokenizer(tokenizer, folder)
    write_json(folder / PROVENANCE, made_by)


def token_losses(model: NgramModel, shard: Shard) -> Floats:
    """The loss of each token of a shard in nats, given those before it in its document: float [T]."""
    losses = [np.zeros(0)]
    for words_T, nats_T in _scored(model, shard, sentences=False):
        losses.append(nats_T[(words_T != BOS) & (words_T != EOS)])
    return np.concatenate(losses)


def _scored(model: NgramModel, shard: Shard, *, sentences: bool) -> Iterator[tuple[Ints, Floats]]:
    """The words of `word_stretches`, with the loss of each in nats."""
    before, reach = np.zeros(0, np.int64), model.tables.order - 1
    for words_T in word_stretches(shard, model.vocabulary.of_token, sentences=sentences):
        text_T = np.concatenate([before, words_T])
        yield words_T, -model.tables.score(text_T)[len(before) :] * np.log(10)
        before = text_T[max(0, len(text_T) - reach) :]


def held_out_loss(model: NgramModel, shard: Shard) -> dict[str, float]:
    """The loss on a shard in nats per token, including ends of texts: over all tokens, and without unknown ones; and
    the share of unknown tokens."""
    nats = nats_unknown = unknown = number = 0.0
    for words_T, nats_T in _scored(model, shard, sentences=model.config.sentences):
        asked_T, unknown_T = words_T != BOS, is_unknown(words_T)
        number += int(asked_T.sum())
        unknown += int(unknown_T.sum())
        nats += float(nats_T[asked_T].sum())
        nats_unknown += float(nats_T[unknown_T].sum())
    known = max(1.0, number - unknown)
    return {
        "final_held_out_loss": nats / number,
        "final_held_out_loss_of_known": (nats - nats_unknown) / known,
        "final_held_out_perplexity": float(np.exp(nats / number)),
        "final_held_out_perplexity_of_known": float(np.exp((nats - nats_unknown) / known)),
        "unknown_tokens": unknown / number,
    }
