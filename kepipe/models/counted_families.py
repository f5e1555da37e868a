"""The table of families that are fitted outside the training loop, by counting (n-grams) or in passes of their own
(word vectors).

A new one is a file with its settings, a file that fits it, and a row here; the kind of its folder is a row of `KINDS`
in `kepipe.inference.opening`.
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
    """The text to fit a model on, and the held-out text; `tokenizer`: the folder of the shards' tokenizer."""

    train: Shard
    held_out: Shard
    tokenizer: Path


@dataclass(frozen=True)
class Places:
    """Where a fit writes, and how it reports. `out`: the model folder to fill; `scratch`: an empty folder for temporary
    files; `tick` is called with numbers of tokens, over `CountedFamily.passes` passes; `seed`: random seed."""

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
    """(settings, text, places) → values to log. Writes the model folder except `kepipe.json`. Raises ValueError if
    there is no text."""
    passes: Callable[[Any], int]
    """Settings → number of passes over the text."""


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
