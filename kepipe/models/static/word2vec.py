"""Train word2vec and fastText with gensim on the text of a shard."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kepipe.arrays import Floats32
from kepipe.models.static.config import FastTextBase, Subwords, Word2vecBase
from kepipe.models.static.text import Words, write_lines

if TYPE_CHECKING:
    from kepipe.data.shards import Shard


@dataclass(frozen=True)
class Trained:
    """`words`: float [W, D]. `parts`: the subword vectors, float [buckets, D]; None for word2vec."""

    words: Floats32
    parts: Floats32 | None = None


def train(
    base: Word2vecBase,
    shard: Shard,
    words: Words,
    scratch: Path,
    seed: int,
    tick: Callable[[], None] = lambda: None,
) -> Trained:
    """Train on a shard, through a file of its lines in `scratch`. `tick` is called after each epoch.

    With one worker, results are reproducible by the seed. For word2vec, the file has numbers for words, so that tokens
    may contain blanks.
    """
    from gensim.models.callbacks import CallbackAny2Vec

    class Epochs(CallbackAny2Vec):  # type: ignore[misc]
        def on_epoch_end(self, _model: Any) -> None:
            tick()

    by_parts = isinstance(base, FastTextBase)
    names = [written(name) for name in words.names] if by_parts else [str(word) for word in range(len(words))]
    scratch.mkdir(parents=True, exist_ok=True)
    file = scratch / "lines.txt"
    lines = write_lines(shard, words, names, file)
    model = _model(base, seed)
    model.build_vocab_from_freq(dict(zip(names, words.counts.tolist(), strict=True)), corpus_count=lines)
    model.train(
        corpus_file=str(file),
        total_words=int(words.counts.sum()),
        total_examples=lines,
        epochs=base.epochs,
        callbacks=[Epochs()],
    )
    file.unlink()
    rows = [model.wv.key_to_index[name] for name in names]
    parts = np.asarray(model.wv.vectors_ngrams, np.float32) if by_parts else None
    return Trained(np.asarray(model.wv.vectors, np.float32)[rows], parts)


def written(token: str) -> str:
    """A token as one word of gensim's lines: inner white space becomes `_`."""
    return "_".join(token.split())


def _model(base: Word2vecBase, seed: int) -> Any:
    from gensim.models import FastText, Word2Vec

    sampled = base.loss == "negative-sampling"
    settings = {
        "vector_size": base.hidden,
        "window": base.window,
        "min_count": 1,  # rare words are already removed
        "sg": int(base.architecture == "skip-gram"),
        "hs": int(not sampled),
        "negative": base.negatives if sampled else 0,
        "sample": base.subsample,
        "alpha": base.learning_rate,
        "workers": base.workers,
        "epochs": base.epochs,
        "seed": seed,
    }
    if isinstance(base, FastTextBase):
        return FastText(**settings, min_n=base.shortest, max_n=base.longest, bucket=base.buckets)
    return Word2Vec(**settings)


def compose(word: str, parts_BD: Floats32, subwords: Subwords) -> Floats32:
    """The vector of a word without its own, [D]: the mean of its subword vectors (Bojanowski et al. 2017, §3.2).
    Raises ValueError for a word without subwords."""
    from gensim.models.fasttext import ft_ngram_hashes

    rows = ft_ngram_hashes(written(word), subwords.shortest, subwords.longest, subwords.buckets)
    if not len(rows):
        raise ValueError(f"no vector of {word!r}, nor of any of its subwords")
    mean: Floats32 = parts_BD[np.asarray(rows, np.int64)].mean(0)
    return mean
