"""The neural probabilistic language model (Bengio et al. 2003, "A Neural Probabilistic Language Model", eq. 1)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from kepipe.data.batch import Batch
from kepipe.models.networks.network import ReadingNetwork, State
from kepipe.models.networks.nnlm_config import NNLMConfig
from kepipe.nn.gather import pick
from kepipe.nn.heads import VocabularyHead


class NNLM(ReadingNetwork):
    """y = b + W x + U tanh(d + H x), where x is the concatenated embeddings of the n − 1 previous tokens.

    A state is [tanh(d + H x); x], and the output matrix [U, W]; without direct connections, W and x are left out of
    both. The tokens before the beginning of a text are `config.start`.
    """

    config: NNLMConfig

    def __init__(self, config: NNLMConfig) -> None:
        read = (config.order - 1) * config.embedding
        self.width = config.hidden + read * config.direct
        weight_VD = torch.empty(config.vocabulary, self.width)
        super().__init__(config, VocabularyHead(weight=weight_VD, bias=config.vocabulary))
        self.hidden = nn.Linear(read, config.hidden)

    @property
    def hidden_size(self) -> int:
        """D: the hidden layer, and with direct connections the n − 1 embeddings."""
        return self.width

    def states(self, batch: Batch, all_states: list[Tensor] | None = None) -> Tensor:
        """See `Network`."""
        states_BTD = self._states(self._contexts(batch.tokens, self._beginning(batch.tokens)))
        if all_states is not None:
            all_states.append(states_BTD)
        return states_BTD

    def forward(self, batch: Batch, places_N: Tensor | None = None) -> Tensor:
        """See `Network`; only the requested places are computed."""
        contexts_BTN = self._contexts(batch.tokens, self._beginning(batch.tokens))
        return self._states(contexts_BTN if places_N is None else pick(contexts_BTN, places_N))

    def read(
        self, tokens_BT: Tensor, lengths_B: Tensor | None = None, state: State | None = None
    ) -> tuple[Tensor, State]:
        """See `ReadingNetwork`; the state is the last n − 2 tokens."""
        before_BN = self._beginning(tokens_BT) if state is None else state[0]
        reach, length = self.config.order - 2, tokens_BT.shape[1]
        rows_B1 = torch.arange(tokens_BT.shape[0], device=tokens_BT.device)[:, None]
        ends_B1 = torch.full_like(rows_B1, length) if lengths_B is None else lengths_B[:, None]
        last_BN = ends_B1 + torch.arange(reach, device=tokens_BT.device)
        after_BN = torch.cat([before_BN, tokens_BT], 1)[rows_B1, last_BN]
        return self._states(self._contexts(tokens_BT, before_BN)), (after_BN,)

    def _beginning(self, tokens_BT: Tensor) -> Tensor:
        assert self.config.start is not None, "set when the network is built"
        return tokens_BT.new_full((tokens_BT.shape[0], self.config.order - 2), self.config.start)

    def _contexts(self, tokens_BT: Tensor, before_BN: Tensor) -> Tensor:
        """The n − 1 tokens up to each position, [B, T, n − 1]."""
        return torch.cat([before_BN, tokens_BT], 1).unfold(1, self.config.order - 1, 1)

    def _states(self, contexts: Tensor) -> Tensor:
        """[…, n − 1] → […, D]."""
        x = self.dropout(self.tokens(contexts).flatten(-2))
        hidden = torch.tanh(self.hidden(x))
        return torch.cat([hidden, x], -1) if self.config.direct else hidden
