"""Train static vectors on a tokenised text and write their model folder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from kepipe.arrays import Floats32
from kepipe.models import folder as folders
from kepipe.models.files import write_tensors
from kepipe.models.static import cooccurrences, glove, word2vec
from kepipe.models.static.config import (
    FastTextBase,
    GloveBase,
    RandomVectorsBase,
    StaticBase,
    StaticConfig,
    Word2vecBase,
)
from kepipe.models.static.encoder import StaticEncoder
from kepipe.models.static.text import Words, documents, words_of
from kepipe.tokenization.tokenizer import Tokenizer, load_tokenizer

if TYPE_CHECKING:
    from kepipe.models.fitted_families import FitContext, FittingText

PARTS = "subwords.safetensors"
"""The file of subword vectors."""


def fit_word2vec(base: Word2vecBase, text: FittingText, context: FitContext) -> Mapping[str, float]:
    """Train word2vec or fastText on a text and write the folder. Returns metrics."""
    tokenizer = load_tokenizer(text.tokenizer)
    words = words_of(text.train, tokenizer, base.min_count)

    def tick() -> None:
        context.tick(len(text.train))

    trained = word2vec.train(base, text.train, words, context.scratch, context.seed, tick)
    composed = None
    if isinstance(base, FastTextBase) and trained.parts is not None:
        composed = _compose_others(words, tokenizer, trained.parts, base)
        write_tensors(context.out / PARTS, {"parts": torch.from_numpy(trained.parts)})
    _write(base, trained.words, composed, words, tokenizer, text.tokenizer, context.out)
    return _coverage(words, text, tokenizer)


def fit_glove(base: GloveBase, text: FittingText, context: FitContext) -> Mapping[str, float]:
    """Count co-occurrences, train GloVe and write the folder. Returns metrics."""
    tokenizer = load_tokenizer(text.tokenizer)
    words = words_of(text.train, tokenizer, base.min_count)
    counted = cooccurrences.count(
        documents(text.train, words),
        len(words),
        base.window,
        len(text.train),
        context.scratch / "pairs",
        context.tick,
    )
    model = glove.Glove.initialise(len(words), base.hidden, base.x_max, base.alpha, context.seed)

    def tick() -> None:
        context.tick(len(text.train))

    losses = glove.train(model, counted, base.epochs, base.learning_rate, context.seed, tick)
    _write(base, model.vectors(), None, words, tokenizer, text.tokenizer, context.out)
    return {
        **_coverage(words, text, tokenizer),
        "pairs": counted.pairs(),
        "first_loss": losses[0],
        "final_loss": losses[-1],
    }


def draw(base: RandomVectorsBase, text: FittingText, context: FitContext) -> Mapping[str, float]:
    """Draw a vector for each word of a text and write the folder. Returns metrics."""
    tokenizer = load_tokenizer(text.tokenizer)
    words = words_of(text.train, tokenizer, base.min_count)
    rng = np.random.default_rng(context.seed)
    drawn_WD = rng.standard_normal((len(words), base.hidden), np.float32)
    drawn_WD *= np.float32(base.norm / np.linalg.norm(drawn_WD, axis=1).mean())
    context.tick(len(text.train))
    _write(base, drawn_WD, None, words, tokenizer, text.tokenizer, context.out)
    return _coverage(words, text, tokenizer)


def _compose_others(
    words: Words, tokenizer: Tokenizer, parts: Floats32, base: FastTextBase
) -> Mapping[int, Floats32]:
    """Token → vector, for text tokens that were too rare to be trained."""
    composed = {}
    for token in np.setdiff1d(tokenizer.ordinary, words.tokens).tolist():
        try:
            name = str(tokenizer.backend.id_to_token(token))
            composed[token] = word2vec.compose(name, parts, base.subwords)
        except ValueError:  # a word without subwords gets no vector
            continue
    return composed


def _write(
    base: StaticBase,
    vectors_WD: Floats32,
    composed: Mapping[int, Floats32] | None,
    words: Words,
    tokenizer: Tokenizer,
    tokenizer_folder: Path,
    folder: Path,
) -> None:
    table_VD = np.zeros((tokenizer.vocab_size, base.hidden), np.float32)
    table_VD[words.tokens] = vectors_WD
    for token, vector in (composed or {}).items():
        table_VD[token] = vector
    subwords = base.subwords if isinstance(base, FastTextBase) else None
    save(folder, table_VD, tokenizer, tokenizer_folder, family=base.family, subwords=subwords)


def save(
    folder: Path, table_VD: Floats32, tokenizer: Tokenizer, tokenizer_folder: Path | None, **config: Any
) -> None:
    """Write the folder of a table of token vectors, zeros for tokens without one. An unknown token without a vector
    gets the mean of all words."""
    special = set(tokenizer.special.tolist())
    unknown = tokenizer.id(tokenizer.named.get("unk", ""))
    has_vector = (table_VD != 0).any(axis=1)
    if unknown is not None:
        special.discard(unknown)
    if unknown is not None and not has_vector[unknown]:
        table_VD[unknown] = table_VD[has_vector].mean(0)
    vocabulary, hidden = table_VD.shape
    model = StaticEncoder(
        StaticConfig(vocabulary=vocabulary, hidden=hidden, special=tuple(sorted(special)), **config)
    )
    with torch.no_grad():
        model.tokens.weight.copy_(torch.from_numpy(table_VD))
    folders.save(folder, model, tokenizer=tokenizer_folder)


def _coverage(words: Words, text: FittingText, tokenizer: Tokenizer) -> dict[str, float]:
    """The number of words, and the share of held-out tokens without a vector."""
    logged: dict[str, float] = {"words": len(words)}
    if len(text.held_out):
        counts_V = text.held_out.counts(tokenizer.vocab_size)
        logged["unknown_tokens"] = 1.0 - float(counts_V[words.tokens].sum() / counts_V.sum())
    return logged
