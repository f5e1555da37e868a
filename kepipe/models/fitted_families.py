"""The table of families that are fitted without the training loop: n-grams by counting, word vectors in passes of
their own.

A new one is a file with its settings, a file that fits it, and a row here; the kind of its folder is a row of `KINDS`
in `kepipe.inference.opening`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kepipe.models.fitted_base import FittedBase
from kepipe.models.ngram.config import NgramBase
from kepipe.models.static.config import FastTextBase, GloveBase, RandomVectorsBase, Word2vecBase

if TYPE_CHECKING:
    from kepipe.data.shards import Shard


@dataclass(frozen=True)
class FittingText:
    """The text to fit a model on, and the held-out text; `tokenizer`: the folder of the shards' tokenizer."""

    train: Shard
    held_out: Shard
    tokenizer: Path


@dataclass(frozen=True)
class FitContext:
    """Where a fit writes and how it reports progress. `out`: the model folder to fill; `scratch`: an empty folder for
    temporary files; `tick` is called with numbers of tokens, over `FittedFamily.passes` passes; `seed`: random seed."""

    out: Path
    scratch: Path
    tick: Callable[[int], None]
    seed: int = 0


@dataclass(frozen=True)
class FittedFamily:
    """A row."""

    section: type[FittedBase]
    about: str
    """What it is, as docs say it."""
    fit: Callable[[Any, FittingText, FitContext], Mapping[str, float]]
    """(settings, text, context) → values to log. Writes the model folder except `kepipe.json`. Raises ValueError if
    there is no text."""
    passes: Callable[[Any], int]
    """Settings → number of passes over the text."""


def _ngram(base: NgramBase, text: FittingText, context: FitContext) -> Mapping[str, float]:
    from kepipe.models.ngram import fitting
    from kepipe.models.ngram.model import load

    sizes = fitting.fit(base, text.train, text.tokenizer, context.out, context.scratch, context.tick)
    if not len(text.held_out):
        return sizes
    return {**sizes, **fitting.held_out_loss(load(context.out), text.held_out)}


def _word2vec(base: Word2vecBase, text: FittingText, context: FitContext) -> Mapping[str, float]:
    from kepipe.models.static.fitting import fit_word2vec

    return fit_word2vec(base, text, context)


def _glove(base: GloveBase, text: FittingText, context: FitContext) -> Mapping[str, float]:
    from kepipe.models.static.fitting import fit_glove

    return fit_glove(base, text, context)


def _random(base: RandomVectorsBase, text: FittingText, context: FitContext) -> Mapping[str, float]:
    from kepipe.models.static.fitting import draw

    return draw(base, text, context)


FITTED: Mapping[str, FittedFamily] = {
    "ngram": FittedFamily(
        NgramBase,
        "n-gram counts, smoothed by modified Kneser-Ney, Witten-Bell, Katz or add-k",
        _ngram,
        lambda base: base.order,
    ),
    "word2vec": FittedFamily(
        Word2vecBase,
        "a vector per word; skip-gram or CBOW, negative sampling or hierarchical softmax",
        _word2vec,
        lambda base: base.epochs,
    ),
    "fasttext": FittedFamily(
        FastTextBase, "as word2vec, with vectors of character n-grams", _word2vec, lambda base: base.epochs
    ),
    "glove": FittedFamily(
        GloveBase,
        "a vector per word; dot products approximate log co-occurrence counts",
        _glove,
        lambda base: 1 + base.epochs,
    ),
    "random-vectors": FittedFamily(
        RandomVectorsBase,
        "a random vector per word: a control for learned vectors",
        _random,
        lambda _: 1,
    ),
}


def row_of(base: FittedBase) -> FittedFamily:
    """The row of given settings."""
    return FITTED[base.family]
