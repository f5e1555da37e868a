"""Word vectors of any model: a folder's token embeddings, or a file of vectors."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from kepipe.arrays import Floats32
from kepipe.inference.opening import load_encoder, read_config
from kepipe.models.own_tokenizer import load_own_tokenizer
from kepipe.models.pretrained import locate
from kepipe.models.protocols import ExtensibleVocabulary
from kepipe.models.static import formats
from kepipe.models.static.config import StaticConfig
from kepipe.models.static.opening import of_tokens
from kepipe.models.static.word_vectors import WordVectors


def open_vectors(name: str, note: Callable[[str], None] = lambda _: None) -> WordVectors:
    """The vectors of a file, or of a model given by name. Raises ValueError if there are none."""
    file = Path(name).expanduser()
    return formats.read(file, note=note) if file.is_file() else vectors_of_folder(locate(name))


def vectors_of_folder(folder: Path) -> WordVectors:
    """The embedding of each of a model's text tokens that has one. Raises ValueError for a model without token
    embeddings."""
    model = load_encoder(folder)
    tokenizer = load_own_tokenizer(folder, model.config)
    if not isinstance(model, ExtensibleVocabulary):
        raise ValueError(f"{folder}: this model has no word vectors")
    config = read_config(folder)
    return of_tokens(
        model, tokenizer, _composing(folder, config) if isinstance(config, StaticConfig) else None
    )


def _composing(folder: Path, config: StaticConfig) -> Callable[[str], Floats32] | None:
    """How fastText composes vectors of words that are not tokens; None for other models, and for fine-tuned ones, whose
    subword vectors are no longer valid."""
    from kepipe.models.files import read_tensors
    from kepipe.models.static.fitting import PARTS
    from kepipe.models.static.word2vec import compose

    subwords = config.subwords
    if subwords is None or not (folder / PARTS).is_file():
        return None
    tensors = read_tensors(folder / PARTS)
    if "parts" not in tensors:
        raise ValueError(f"{folder / PARTS}: holds no subword vectors")
    parts_BD = tensors["parts"].numpy()
    if parts_BD.shape != (subwords.buckets, config.hidden):
        raise ValueError(f"{folder / PARTS}: does not match the config in the same folder")
    return lambda word: compose(word, parts_BD, subwords)


def import_vectors(vectors: WordVectors, folder: Path, *, family: str) -> None:
    """Write word vectors as a model folder, with each word as a token. Texts are split as by BERT before WordPiece, and
    lower-cased if no word has a capital."""
    from kepipe.models.static.fitting import save
    from kepipe.tokenization.word_level import word_level_tokenizer

    tokenizer = word_level_tokenizer(vectors.words)
    table_VD = np.zeros((tokenizer.vocab_size, vectors.vectors.shape[1]), np.float32)
    for word, row in vectors.rows.items():
        token = tokenizer.id(word)
        assert token is not None
        table_VD[token] = vectors.vectors[row]
    unknown = vectors.rows.get("<unk>")  # as GloVe's releases name the mean of the excluded words
    if unknown is not None:
        table_VD[tokenizer.role("unk")] = vectors.vectors[unknown]
    tokenizer.save(folder)
    save(folder, table_VD, tokenizer, None, family=family)
