"""How the next word is predicted: all words, some that are drawn, or clusters of them.

Words are classes: 0 is the end of a text, 1 any word that the tokenizer does not know, then the words it knows in the
order of their tokens, which is that of their frequency.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from kepipe.arrays import Floats, Ints
from kepipe.models.elmo.spelling import Spelling
from kepipe.nn.cross_entropy import summed_cross_entropy
from kepipe.nn.gather import to_device
from kepipe.tokenization.tokenizer import Tokenizer

END, UNKNOWN, FIRST_WORD = range(3)
LETTERS = 257
"""What a word that is spelled out is written with: the bytes, and its end."""


class Classes(NamedTuple):
    """`of_token`: int [V], the class of each token; `tokens`: int [C], the token of each class, −1 for unknown ones."""

    of_token: Ints
    tokens: Ints


def classes_of(tokenizer: Tokenizer, spelling: Spelling) -> Classes:
    """The classes of a tokenizer's words."""
    words = tokenizer.ordinary[~spelling.spells[tokenizer.ordinary]]
    of_token_V = np.full(tokenizer.vocab_size, UNKNOWN, np.int64)
    of_token_V[words] = FIRST_WORD + np.arange(len(words))
    of_token_V[[tokenizer.cls, tokenizer.sep]] = END
    return Classes(of_token_V, np.concatenate([[tokenizer.sep, -1], words]))


class WordSoftmax(Protocol):
    """Predicts a word, one of C classes, from hidden states."""

    def summed_loss(self, hidden_ND: Tensor, classes_N: Tensor) -> Tensor:
        """Σ −ln p(class); in training, possibly an approximation. `classes_N`: on the CPU."""
        ...

    def log_probabilities(self, hidden_ND: Tensor) -> Tensor:
        """ln p of every class, float32 [N, C]."""
        ...


class FullSoftmax(nn.Module):
    """softmax(W h + b)."""

    def __init__(self, hidden: int, classes: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(classes, hidden))
        self.bias = nn.Parameter(torch.zeros(classes))

    def summed_loss(self, hidden_ND: Tensor, classes_N: Tensor) -> Tensor:
        """See `WordSoftmax`."""
        classes_N = to_device(classes_N, hidden_ND.device)
        return summed_cross_entropy(hidden_ND, self.weight, self.bias, classes_N)

    def log_probabilities(self, hidden_ND: Tensor) -> Tensor:
        """See `WordSoftmax`."""
        return F.linear(hidden_ND, self.weight, self.bias).float().log_softmax(-1)


class SampledSoftmax(FullSoftmax):
    """The same, trained against words that are drawn for each batch (Jean et al. 2015, section 3.1).

    They are drawn without repetition by p(k) = ln((k + 2) / (k + 1)) / ln(C + 1), about how often the k-th most
    frequent word stands. Logits are made smaller by the logarithm of how likely a word is among those drawn; a word
    that is drawn against itself does not count. Outside of training all words count.
    """

    def __init__(self, hidden: int, classes: int, samples: int) -> None:
        super().__init__(hidden, classes)
        self.samples = min(samples, classes)
        ranks_C = np.arange(classes)
        share_C = np.log((ranks_C + 2) / (ranks_C + 1)) / np.log(classes + 1)
        self.register_buffer("share", torch.from_numpy(share_C).float(), persistent=False)
        drawn_C = torch.from_numpy(_chance_of_draw(share_C, self.samples))
        self.register_buffer("log_drawn", drawn_C.log().float(), persistent=False)

    def summed_loss(self, hidden_ND: Tensor, classes_N: Tensor) -> Tensor:
        """See `WordSoftmax`."""
        if not self.training or self.samples >= len(self.weight):
            return super().summed_loss(hidden_ND, classes_N)
        classes_N = to_device(classes_N, hidden_ND.device)
        # what torch.multinomial does without its check of the shares, for which a GPU would be waited for
        share_C = self.get_buffer("share")
        drawn_S = (share_C / torch.empty_like(share_C).exponential_()).topk(self.samples).indices
        bias_C = self.bias - self.get_buffer("log_drawn")
        true_N = (hidden_ND * self.weight[classes_N]).sum(-1).float() + bias_C[classes_N]
        against_NS = F.linear(hidden_ND, self.weight[drawn_S]).float() + bias_C[drawn_S]
        against_NS = against_NS.masked_fill(drawn_S == classes_N[:, None], -torch.inf)
        logits_NS = torch.cat([true_N[:, None], against_NS], 1)
        return -logits_NS.log_softmax(-1)[:, 0].sum()


def _chance_of_draw(share_C: Floats, samples: int) -> Floats:
    """How likely each class is among `samples` different ones: 1 − (1 − p)^n, with n draws that give so many."""
    least, most = 0.0, 1.0
    while samples < len(share_C) and (1 - (1 - share_C) ** most).sum() < samples:
        most *= 2
    for _ in range(60):
        draws = (least + most) / 2
        enough = (1 - (1 - share_C) ** draws).sum() >= samples
        least, most = (least, draws) if enough else (draws, most)
    found: Floats = 1 - (1 - share_C) ** most
    return found


class AdaptiveSoftmax(nn.Module):
    """Frequent words at once, rare ones by their cluster first, in a smaller space (Grave et al. 2017)."""

    def __init__(self, hidden: int, classes: int, cutoffs: tuple[int, ...]) -> None:
        super().__init__()
        self.inner = nn.AdaptiveLogSoftmaxWithLoss(
            hidden, classes, list(cutoffs), div_value=4.0, head_bias=True
        )

    def summed_loss(self, hidden_ND: Tensor, classes_N: Tensor) -> Tensor:
        """See `WordSoftmax`."""
        if not len(classes_N):
            return hidden_ND.sum() * 0.0
        with torch.autocast(hidden_ND.device.type, enabled=False):
            return -self._log_likelihoods(hidden_ND.float(), classes_N).sum()

    def _log_likelihoods(self, hidden_ND: Tensor, classes_N: Tensor) -> Tensor:
        """ln p of the classes, [N], as `inner` computes it; which places are in which cluster is found on the CPU."""
        device, first = hidden_ND.device, self.inner.cutoffs[0]
        slot_N, found_N = classes_N.clone(), hidden_ND.new_zeros(len(classes_N))
        for number, tail in enumerate(self.inner.tail):
            low, high = self.inner.cutoffs[number : number + 2]
            places_M = ((classes_N >= low) & (classes_N < high)).nonzero().squeeze(1)
            if not len(places_M):
                continue
            slot_N[places_M] = first + number
            within_M = to_device(classes_N[places_M] - low, device)
            places_M = to_device(places_M, device)
            shares_MC = tail(hidden_ND.index_select(0, places_M)).log_softmax(1)
            found_N = found_N.index_copy(0, places_M, shares_MC.gather(1, within_M[:, None]).squeeze(1))
        head_NC = self.inner.head(hidden_ND).log_softmax(1)
        told_N: Tensor = found_N + head_NC.gather(1, to_device(slot_N, device)[:, None]).squeeze(1)
        return told_N

    def log_probabilities(self, hidden_ND: Tensor) -> Tensor:
        """See `WordSoftmax`."""
        found_NC: Tensor = self.inner.log_prob(hidden_ND.float())
        return found_NC


def cutoffs_for(classes: int) -> tuple[int, ...]:
    """A tenth of the words at once, a third of what is left, and the rest; all at once where there are few."""
    first = classes // 10
    return tuple(cut for cut in (first, first + (classes - first) // 3) if 1 <= cut < classes - 1) or (
        max(1, classes - 1),
    )
