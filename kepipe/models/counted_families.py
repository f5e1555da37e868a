"""The table of families that are counted in a pass of their own.

A new one is a file with its settings, a file that fits it, and a row here; its folder is a row of `KINDS` in
`kepipe.inference.opening`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kepipe.models.counted import CountedBase
from kepipe.models.ngram.config import NgramBase
from kepipe.models.static.config import FastTextBase, GloveBase, RandomVectorsBase, Word2vecBase

if TYPE_CHECKING:
    from kepipe.data.shards import Shard


@dataclass(frozen=True)
class CountedText:
    """What is counted, and what the result is measured on; `tokenizer`: the folder of their tokenizer."""

    train: Shard
    held_out: Shard
    tokenizer: Path


@dataclass(frozen=True)
class Places:
    """`out`: the folder to fill; `scratch`: an empty one for what is needed on the way. `tick` is told of tokens, and
    `passes` says how many times over. `seed`: of what is drawn."""

    out: Path
    scratch: Path
    tick: Callable[[int], None]
    seed: int = 0


@dataclass(frozen=True)
class CountedFamily:
    """A row."""

    section: type[CountedBase]
    about: str
    """What it is, as docs say it."""
    fit: Callable[[Any, CountedText, Places], Mapping[str, float]]
    """Settings, text and places → values to log. Writes a model's folder but for `kepipe.json`. Raises ValueError where
    there is no text."""
    passes: Callable[[Any], int]
    """How often the text is gone through."""


def _ngram(base: NgramBase, text: CountedText, places: Places) -> Mapping[str, float]:
    from kepipe.models.ngram import fitting
    from kepipe.models.ngram.model import load

    sizes = fitting.fit(base, text.train, text.tokenizer, places.out, places.scratch, places.tick)
    if not len(text.held_out):
        return sizes
    return {**sizes, **fitting.held_out_loss(load(places.out), text.held_out)}


def _word2vec(base: Word2vecBase, text: CountedText, places: Places) -> Mapping[str, float]:
    from kepipe.models.static.fitting import fit_word2vec

    return fit_word2vec(base, text, places)


def _glove(base: GloveBase, text: CountedText, places: Places) -> Mapping[str, float]:
    from kepipe.models.static.fitting import fit_glove

    return fit_glove(base, text, places)


def _random(base: RandomVectorsBase, text: CountedText, places: Places) -> Mapping[str, float]:
    from kepipe.models.static.fitting import draw

    return draw(base, text, places)


COUNTED: Mapping[str, CountedFamily] = {
    "ngram": CountedFamily(
        NgramBase,
        "how often words stand together; modified Kneser-Ney, Witten-Bell, Katz, add-k",
        _ngram,
        lambda base: base.order,
    ),
    "word2vec": CountedFamily(
        Word2vecBase,
        "a vector a word; skip-gram or CBOW, negative sampling or hierarchical softmax",
        _word2vec,
        lambda base: base.epochs,
    ),
    "fasttext": CountedFamily(
        FastTextBase, "as word2vec, words being the sums of their parts", _word2vec, lambda base: base.epochs
    ),
    "glove": CountedFamily(
        GloveBase,
        "a vector a word; their products are the logarithms of how often words stand near each other",
        _glove,
        lambda base: 1 + base.epochs,
    ),
    "random-vectors": CountedFamily(
        RandomVectorsBase,
        "a vector a word, drawn: the control of those that were learned",
        _random,
        lambda _: 1,
    ),
}


def row_of(base: CountedBase) -> CountedFamily:
    """The row of given settings."""
    return COUNTED[base.family]
