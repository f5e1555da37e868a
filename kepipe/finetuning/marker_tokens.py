"""The marker tokens of a task ([HD], [TL], [ENT]), each a single token of the vocabulary.

A BERT vocabulary has `[unused…]` tokens, kepipe's own vocabularies have sentinels: the last of these are used. Other
vocabularies (GPT-2's, RoBERTa's) are extended. A character-based model reads the characters of the markers' names.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from kepipe.tokenization.tokenizer import Tokenizer

if TYPE_CHECKING:
    from kepipe.models.protocols import TrainableEncoder


def place_markers(
    model: TrainableEncoder,
    tokenizer: Tokenizer,
    names: Sequence[str],
    seed: int,
    placed: Mapping[str, int] | None = None,
) -> tuple[TrainableEncoder, dict[str, int]]:
    """The model with an embedding for each marker, and marker → token id; added tokens are added to the tokenizer too.

    A marker's embedding is drawn from a normal distribution with the per-dimension mean and standard deviation of the
    embeddings of ordinary tokens (unused rows were never trained). A character-based model needs none. `placed`: the
    markers of a task that the model was fine-tuned for before, which keep their embeddings. Raises ValueError for a
    model that has neither extensible token embeddings nor reads characters.
    """
    from tokenizers import AddedToken

    from kepipe.models.protocols import ExtensibleVocabulary, SpelledVocabulary

    if not names:
        return model, {}
    if placed is not None and placed.keys() >= set(names):
        return model, {name: placed[name] for name in names}
    if not isinstance(model, ExtensibleVocabulary | SpelledVocabulary):
        raise ValueError(
            "this model has no token embeddings that could be extended by markers: set `entity_markers: false`"
        )
    spare = tokenizer.sentinels[-len(names) :].tolist()
    grows = len(spare) < len(names)
    if grows:
        first = tokenizer.vocab_size
        tokenizer.backend.add_special_tokens([AddedToken(name, special=True) for name in names])
        tokenizer.__dict__.pop("vocab_size", None)  # cached before the vocabulary grew
        spare = list(range(first, first + len(names)))
    markers: dict[str, int] = dict(zip(names, spare, strict=True))
    if isinstance(model, SpelledVocabulary):
        return (model.with_tokenizer(tokenizer) if grows else model), markers
    assert isinstance(model, ExtensibleVocabulary)
    model = model.with_vocabulary(tokenizer.vocab_size) if grows else model
    _draw(model.token_embeddings.weight, spare, tokenizer, seed)
    return model, markers


def _draw(vectors_VD: Tensor, spare: Sequence[int], tokenizer: Tokenizer, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        ordinary_ND = vectors_VD[torch.from_numpy(tokenizer.ordinary)]
        drawn = torch.randn(len(spare), ordinary_ND.shape[1], generator=generator)
        vectors_VD[list(spare)] = ordinary_ND.mean(0) + ordinary_ND.std(0) * drawn
