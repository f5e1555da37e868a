"""Read word vectors from a model folder or a file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from kepipe.models.config import read_format
from kepipe.models.static import formats
from kepipe.models.static.config import StaticConfig, read_static_config
from kepipe.models.static.word_vectors import Compose, WordVectors

if TYPE_CHECKING:
    from kepipe.models.protocols import ExtensibleVocabulary
    from kepipe.tokenization.tokenizer import Tokenizer


def of_tokens(
    model: ExtensibleVocabulary, tokenizer: Tokenizer, compose: Compose | None = None
) -> WordVectors:
    """The vectors of a model's text tokens, without tokens that have none."""
    table_VD = model.token_embeddings.weight.detach().float().numpy()
    tokens = tokenizer.ordinary[tokenizer.ordinary < len(table_VD)]
    tokens = tokens[table_VD[tokens].any(1)]
    names = [str(tokenizer.backend.id_to_token(token)) for token in tokens.tolist()]
    return WordVectors(names, table_VD[tokens], compose)


def read_vectors(source: str, note: Callable[[str], None]) -> WordVectors:
    """The vectors of a file, or of a folder of static vectors. Raises ValueError if there are none."""
    place = Path(source).expanduser()
    if place.is_file():
        return formats.read(place, note=note)
    from kepipe.models.static.encoder import load
    from kepipe.tokenization.tokenizer import load_tokenizer

    _require_static(place)
    return of_tokens(load(place), load_tokenizer(place))


def width_of(source: str) -> int:
    """The dimension of the vectors that `read_vectors` would read. Raises ValueError if there are none."""
    place = Path(source).expanduser()
    if place.is_file():
        return formats.width(place)
    _require_static(place)
    return read_static_config(place).hidden


def _require_static(place: Path) -> None:
    kind = StaticConfig.format.partition("/")[0]
    if not (place / "config.json").is_file() or read_format(place).partition("/")[0] != kind:
        raise ValueError(
            f"{place}: expected a file of word vectors, or a model folder of word2vec, fasttext or glove"
        )
