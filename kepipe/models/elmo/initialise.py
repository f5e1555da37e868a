"""Initial weights, as in the published models."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from kepipe.arrays import Ints
from kepipe.models.elmo.model import Elmo
from kepipe.models.elmo.softmax import LETTERS, FullSoftmax

CARRY_BIAS = -2.0
"""Initial bias of highway gates: layers pass on their input at first."""
FILTERS = 0.05
"""Initial weights of filters are uniform in ±0.05 (Kim et al. 2016)."""


def initialise(model: Elmo, seed: int, counts_V: Ints | None = None) -> Elmo:
    """Draw all weights from a generator with this seed, in the order of their names; returns the model.

    `counts_V`: frequencies of the tokens in the text, which initialise the bias of a softmax over all words, and of the
    bytes of spelled words.
    """
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, weight in sorted(model.named_parameters()):
            if weight.requires_grad:
                _draw(name, weight, generator)
        model.cnn.characters.weight[0] = 0.0  # padding
        if counts_V is not None:
            _count(model, counts_V)
    return model


def _count(model: Elmo, counts_V: Ints) -> None:
    """Set the biases to log frequencies: of words, and of the letters of spelled words."""
    spelling, classes_V = model.constants.spelling, model.constants.classes.of_token
    is_byte_V = spelling.bytes >= 0
    if isinstance(model.head, FullSoftmax):
        begun_V = np.where(is_byte_V, 0, counts_V)  # a spelled word counts once
        counts_C = np.bincount(classes_V, weights=begun_V, minlength=len(model.head.bias)) + 1.0
        model.head.bias.copy_(torch.from_numpy(np.log(counts_C / counts_C.sum())))
    if spelling.opens >= 0:
        letters_L = np.ones(LETTERS)
        np.add.at(letters_L, spelling.bytes[is_byte_V], counts_V[is_byte_V])
        letters_L[-1] += counts_V[spelling.opens]  # each spelled word has one end
        model.letters.copy_(torch.from_numpy(np.log(letters_L / letters_L.sum())))


def _draw(name: str, weight: Tensor, generator: torch.Generator) -> None:
    if name.startswith("mixture."):
        weight.fill_(1.0 if name.endswith("gamma") else 0.0)
    elif name.endswith("gate.bias"):
        weight.fill_(CARRY_BIAS)
    elif name.endswith("bias"):
        weight.zero_()
    elif name == "cnn.characters.weight":
        weight.uniform_(-1.0, 1.0, generator=generator)
    elif name.startswith("cnn.filters."):
        weight.uniform_(-FILTERS, FILTERS, generator=generator)
    elif name.startswith("lstm."):  # Glorot & Bengio 2010, equation 16
        reach = math.sqrt(6.0 / (weight.shape[-2] + weight.shape[-1]))
        weight.uniform_(-reach, reach, generator=generator)
    else:
        weight.normal_(0.0, weight.shape[-1] ** -0.5, generator=generator)
