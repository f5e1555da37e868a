"""Word vectors as the initial token embeddings of a fresh model."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

    from kepipe.models.protocols import ExtensibleVocabulary
    from kepipe.models.static.word_vectors import WordVectors
    from kepipe.tokenization.tokenizer import Tokenizer

WORD_BEGINS = ("Ġ", "▁")
"""Marks with which tokenizers begin a word: byte-level BPE, Unigram."""


def require_width(source: str, wanted: int, setting: str = "hidden") -> None:
    """Raise ValueError where vectors are not as wide as a model whose `setting` is `wanted`."""
    from kepipe.models.static.opening import width_of

    width = width_of(source)
    if width != wanted:
        raise ValueError(
            f"base: the embeddings of {source} are {width} wide, the model {wanted}: set `{setting}: {width}`"
        )


def init_embeddings(
    model: ExtensibleVocabulary,
    source: str,
    tokenizer: Tokenizer,
    note: Callable[[str], None],
    *,
    setting: str = "hidden",
) -> None:
    """Initialise each token that is a word of `source` with that word's vector; others keep their random vectors.

    Vectors are multiplied by one factor that gives them the root mean square of the random ones, on which the first
    updates and a tied output layer rely. `note` receives the number of initialised tokens; `setting` names the width in
    messages. Raises ValueError where the widths differ or no token is a word of `source`.
    """
    import torch

    from kepipe.models.static.opening import read_vectors

    require_width(source, model.token_embeddings.embedding_dim, setting)
    vectors = read_vectors(source, note)
    matched = [*_matched(tokenizer, vectors)]
    if not matched:
        raise ValueError(f"base: no token of the tokenizer is a word of the embeddings {source}")
    tokens, rows = (list(column) for column in zip(*matched, strict=True))
    with torch.no_grad():
        table_VD = model.token_embeddings.weight
        found_ND = torch.from_numpy(vectors.vectors[rows].astype("float32"))
        table_VD[tokens] = found_ND * (_size(table_VD) / _size(found_ND))
    note(f"{len(tokens):,} of {len(tokenizer.ordinary):,} tokens begin with the vector of a word")


def _matched(tokenizer: Tokenizer, vectors: WordVectors) -> Iterator[tuple[int, int]]:
    """A token, and the row of its vector: that of the word of its name, as its name is or without the mark that begins
    a word, else lower-cased. What continues a word has a vector only under its very name."""
    names = {token: str(tokenizer.backend.id_to_token(token)) for token in tokenizer.ordinary.tolist()}
    has_marks = any(name.startswith(WORD_BEGINS) and len(name) > 1 for name in names.values())
    for token, name in names.items():
        written = [name]
        if name.startswith(WORD_BEGINS):
            written.append(tokenizer.decode([token]).strip())
        if name.startswith(WORD_BEGINS) or not (has_marks or name.startswith("##")):
            written.append(written[-1].lower())
        row = next((vectors.rows[word] for word in written if word in vectors.rows), None)
        if row is not None and vectors.vectors[row].any():
            yield token, row


def _size(vectors: Tensor) -> float:
    """The root mean square."""
    return float(vectors.square().mean().sqrt())
