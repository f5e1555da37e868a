"""The special tokens of a task ([HD], [TL], [ENT]): rows of the vocabulary that are one token each, whatever the text.

A BERT vocabulary has `[unused…]` rows, kepipe's own have sentinels: the last of these are taken. Another vocabulary
(GPT-2's, RoBERTa's) grows by rows of its own. A model that reads characters reads those of the tokens' names.
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
    """The model with a row for each marker, and marker → id; the tokenizer learns the names of rows that are added.

    A marker's vector is drawn from a normal distribution with the mean and the deviation, number by number, of the
    vectors of ordinary tokens: it begins as a word that nobody knows. (What stands in an unused row was never trained.)
    A model that reads characters has none to draw. `placed`: the markers of a task that the model was fine-tuned for
    before; the same stay, with what they learned. Raises ValueError for another model without such vectors.
    """
    from tokenizers import AddedToken

    from kepipe.models.protocols import ExtensibleVocabulary, SpelledVocabulary

    if not names:
        return model, {}
    if placed is not None and placed.keys() >= set(names):
        return model, {name: placed[name] for name in names}
    if not isinstance(model, ExtensibleVocabulary | SpelledVocabulary):
        raise ValueError(
            "this model has no vectors of tokens to put markers among: set `entity_markers: false`"
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
