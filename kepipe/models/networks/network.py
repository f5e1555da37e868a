"""The base class of networks: token embeddings, hidden states, and the head that predicts tokens from them."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import replace
from typing import Self

import torch
from torch import Tensor, nn

from kepipe.data.batch import Batch
from kepipe.models.networks.config import NetworkConfig
from kepipe.models.protocols import TrainableEncoder
from kepipe.nn.gather import pick
from kepipe.nn.heads import VocabularyHead

DEVIATION = 0.1
"""Standard deviation of initial token embeddings."""
State = tuple[Tensor, ...]
"""A network's state after the tokens read so far: tensors, [B, …] each."""


class Network(TrainableEncoder):
    """Tokens → hidden states [B, T, D] → logits of tokens. Subclasses have the layers."""

    config: NetworkConfig

    def __init__(self, config: NetworkConfig, head: VocabularyHead) -> None:
        super().__init__()
        self.config = config
        self.tokens = nn.Embedding(config.vocabulary, config.embedding)
        self.head = head
        self.dropout = nn.Dropout(config.dropout)

    @abstractmethod
    def states(self, batch: Batch, all_states: list[Tensor] | None = None) -> Tensor:
        """[B, T, D]; undefined on padding. The states of each layer are appended to `all_states`, the returned ones
        last."""

    def forward(self, batch: Batch, places_N: Tensor | None = None) -> Tensor:
        """The states [B, T, D], or [N, D] at `places_N`, flat indices into B·T."""
        states_BTD = self.states(batch)
        return states_BTD if places_N is None else pick(states_BTD, places_N)

    @property
    def hidden_size(self) -> int:
        """See `Encoder`."""
        return self.config.hidden

    def encode(self, batch: Batch) -> Tensor:
        """See `Encoder`."""
        return self.with_row_state(self.states(batch), batch)

    @property
    def num_states(self) -> int:
        """See `LayerStates`."""
        return max(1, len(self.layer_modules()))

    def encode_layers(self, batch: Batch) -> list[Tensor]:
        """See `LayerStates`."""
        self.states(batch, all_states := list[Tensor]())
        return [self.with_row_state(states_BTD, batch) for states_BTD in all_states]

    def with_row_state(self, states_BTD: Tensor, batch: Batch) -> Tensor:  # noqa: ARG002
        """The states of an encoder, whose first token may represent the row: [B, T, D]."""
        return states_BTD

    def vocabulary(self, hidden_ND: Tensor) -> Tensor:
        """Logits [N, V]."""
        logits_NV: Tensor = self.head(hidden_ND, self.tokens.weight)
        return logits_NV

    def token_loss(self, hidden_ND: Tensor, labels_N: Tensor) -> Tensor:
        """The sum of −ln p(label) over N states."""
        return self.head.loss(hidden_ND, self.tokens.weight, labels_N)

    @property
    def token_embeddings(self) -> nn.Embedding:
        """See `ExtensibleVocabulary`."""
        return self.tokens

    def with_vocabulary(self, size: int) -> Self:
        """See `ExtensibleVocabulary`."""
        grown = type(self)(replace(self.config, vocabulary=size))  # type: ignore[call-arg]
        old = dict(self.named_parameters())
        with torch.no_grad():
            for name, weight in grown.named_parameters():
                weight.zero_()[: len(old[name])] = old[name]
        return grown.train(self.training)

    def initialise(self, seed: int) -> Self:
        """Draw all weights on the CPU from a generator with this seed, in the order of their names."""
        self.to_empty(device="cpu")
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for name, weight in sorted(self.named_parameters()):
                self.draw(name, weight, generator)
        return self

    def draw(self, name: str, weight: Tensor, generator: torch.Generator) -> None:
        """Initialise a weight: token embeddings normal, biases 0, others uniform within ±1 / √fan_in."""
        if name == "tokens.weight":
            weight.normal_(0.0, DEVIATION, generator=generator)
        elif weight.ndim < 2:
            weight.zero_()
        else:
            reach = weight[0].numel() ** -0.5
            weight.uniform_(-reach, reach, generator=generator)


class ReadingNetwork(Network):
    """A network that reads left to right, and can continue from its state."""

    @abstractmethod
    def read(
        self, tokens_BT: Tensor, lengths_B: Tensor | None = None, state: State | None = None
    ) -> tuple[Tensor, State]:
        """Hidden states [B, T, D] of the tokens, and the state after the last token of each row. `state`: the state
        before them, None at the beginning of a text; `lengths_B`: number of tokens of each row, at least 1; None: T."""


def tied_head(config: NetworkConfig) -> VocabularyHead:
    """A head with tied embeddings (Press & Wolf 2017) and a bias, after a projection if the widths differ."""
    differs = config.hidden != config.embedding
    transform = nn.Linear(config.hidden, config.embedding, bias=False) if differs else None
    return VocabularyHead(transform=transform, bias=config.vocabulary)
