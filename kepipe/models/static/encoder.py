"""Static vectors as an encoder: a table of vectors, and means of words for special tokens."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn

from kepipe.data.batch import Batch
from kepipe.models import folder as folders
from kepipe.models.protocols import TrainableEncoder
from kepipe.models.static.config import StaticConfig, read_static_config


class StaticEncoder(TrainableEncoder):
    """The hidden state of a word is its vector.

    Special tokens have no vector of their own. The state of the first token of a row ([CLS]) is the mean of the row's
    words; that of any other, such as the marker before a mention, the mean of the words up to the next special token.
    So tasks can pool these tokens as with other encoders.
    """

    config: StaticConfig

    def __init__(self, config: StaticConfig) -> None:
        super().__init__()
        self.config = config
        self.tokens = nn.Embedding(config.vocabulary, config.hidden)
        special_V = torch.zeros(config.vocabulary, dtype=torch.bool)
        special_V[list(config.special)] = True
        self.register_buffer("special", special_V, persistent=False)

    @property
    def hidden_size(self) -> int:
        """See `Encoder`."""
        return self.config.hidden

    def encode(self, batch: Batch) -> Tensor:
        """See `Encoder`."""
        vectors_BTD: Tensor = self.tokens(batch.tokens)
        special_BT = self.get_buffer("special")[batch.tokens]
        words_BT1 = ((batch.documents > 0) & ~special_BT).unsqueeze(-1).to(vectors_BTD.dtype)
        vectors_BTD = vectors_BTD * words_BT1
        rows, length, width = vectors_BTD.shape
        stretch_BT = special_BT.long().cumsum(1)  # 0 before the first special token
        within = stretch_BT.unsqueeze(-1)
        sums_BSD = vectors_BTD.new_zeros(rows, length + 1, width).scatter_add(
            1, within.expand_as(vectors_BTD), vectors_BTD
        )
        sizes_BS1 = words_BT1.new_zeros(rows, length + 1, 1).scatter_add(1, within, words_BT1)
        means_BTD = (sums_BSD / sizes_BS1.clamp(min=1)).gather(1, within.expand_as(vectors_BTD))
        row_B1D = vectors_BTD.sum(1, keepdim=True) / words_BT1.sum(1, keepdim=True).clamp(min=1)
        means_BTD = torch.cat([row_B1D, means_BTD[:, 1:]], 1)
        return torch.where(special_BT.unsqueeze(-1), means_BTD, vectors_BTD)

    @property
    def num_states(self) -> int:
        """See `LayerStates`."""
        return 1

    def encode_layers(self, batch: Batch) -> list[Tensor]:
        """See `LayerStates`: the vectors, the only layer."""
        return [self.encode(batch)]

    @property
    def token_embeddings(self) -> nn.Embedding:
        """See `ExtensibleVocabulary`."""
        return self.tokens

    def with_vocabulary(self, size: int) -> StaticEncoder:
        """See `ExtensibleVocabulary`: added tokens are special."""
        before = self.config.vocabulary
        special = (*self.config.special, *range(before, size))
        grown = StaticEncoder(replace(self.config, vocabulary=size, special=special))
        with torch.no_grad():
            grown.tokens.weight.zero_()[:before] = self.tokens.weight
        return grown


def load(folder: Path, device: str = "cpu") -> StaticEncoder:
    """The encoder of a folder, in evaluation mode. Raises ValueError if files are missing or inconsistent."""
    model = StaticEncoder(read_static_config(folder))
    return folders.load_weights(folder, model).to(device)
