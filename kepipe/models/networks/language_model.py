"""A left-to-right network as a language model: it scores and continues texts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from kepipe.arrays import Floats, Ints
from kepipe.models.networks.network import ReadingNetwork, State
from kepipe.models.next_token import continue_texts, greedy
from kepipe.models.padding import pad_rows
from kepipe.tokenization.tokenizer import Tokenizer


@dataclass(frozen=True)
class NetworkLanguageModel:
    """A `NextTokenModel` that continues from the network's state after the prompt. In fp32."""

    model: ReadingNetwork
    tokenizer: Tokenizer

    @torch.inference_mode()
    def log_likelihoods(
        self, prompts: Sequence[Ints], rows: Sequence[int], targets: Sequence[Ints]
    ) -> Floats:
        """See `LanguageModel`."""
        last_PD, state = self._read(prompts)
        rows_N = torch.tensor(rows, device=last_PD.device)
        following_NU, lengths_N = self._pad(targets)
        states_NUD = last_PD[rows_N][:, None]
        if following_NU.shape[1] > 1:
            after = tuple(part[rows_N] for part in state)
            states_NUD = torch.cat([states_NUD, self.model.read(following_NU[:, :-1], None, after)[0]], 1)
        found_NU = self._log_softmax(states_NUD).gather(2, following_NU[..., None]).squeeze(2)
        there_NU = torch.arange(found_NU.shape[1], device=found_NU.device) < lengths_N[:, None]
        likelihoods_NU: Floats = (found_NU * there_NU).cpu().double().numpy()
        return likelihoods_NU

    @torch.inference_mode()
    def log_probabilities(self, texts: Sequence[Ints]) -> Floats:
        """See `NextTokenModel`: the end is the only special token that can be generated."""
        found_BV: Floats = self._log_softmax(self._read(texts)[0]).cpu().double().numpy()
        found_BV[:, np.setdiff1d(self.tokenizer.special, [self.end])] = -np.inf
        return found_BV

    @property
    def end(self) -> int:
        """See `NextTokenModel`."""
        return self.tokenizer.sep

    def generate(self, prompts: Sequence[Ints], *, limit: int) -> list[Ints]:
        """See `TextGenerator`."""
        return continue_texts(self, prompts, limit, greedy)

    def _read(self, texts: Sequence[Ints]) -> tuple[Tensor, State]:
        """The hidden state [B, D] at the last token of each text, and the network's state there. An empty text becomes
        the end token."""
        tokens_BT, lengths_B = self._pad([text if len(text) else np.array([self.end]) for text in texts])
        states_BTD, state = self.model.eval().read(tokens_BT, lengths_B)
        return states_BTD[torch.arange(len(texts), device=states_BTD.device), lengths_B - 1], state

    def _pad(self, rows: Sequence[Ints]) -> tuple[Tensor, Tensor]:
        """Padded rows, int [B, T], and their lengths, int [B]."""
        tokens_BT, documents_BT = pad_rows(rows, self.tokenizer.pad, self.model.tokens.weight.device)
        return tokens_BT, documents_BT.sum(1)

    def _log_softmax(self, states: Tensor) -> Tensor:
        return self.model.vocabulary(states).float().log_softmax(-1)
