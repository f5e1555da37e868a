"""What a model expects before it has learnt to look at a text: each token as often as it stands in the corpus.

Without that, the first thing to learn is how frequent tokens are, and all hidden states learn it together: they turn
into one direction, that of the frequent tokens. Behind a post-norm, which keeps their length as it was, what told them
apart is then nearly gone, and BERT's, BART's and MASS's losses stay at the tokens' frequencies for hundreds of updates.
"""

from __future__ import annotations

import numpy as np
import torch

from kepipe.arrays import Ints
from kepipe.models.transformer import Transformer


def init_output_bias(model: Transformer, counts_V: Ints) -> None:
    """Set the output bias to log((count + 1) / Σ(count + 1)); a model without one is left as it is.

    `counts_V`: how often each token stands in the corpus.
    """
    if model.head.bias is None:
        return
    frequent_V = np.log((counts_V + 1.0) / (counts_V + 1.0).sum())
    with torch.no_grad():
        model.head.bias.copy_(torch.from_numpy(frequent_V))
