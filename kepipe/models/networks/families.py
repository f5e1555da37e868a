"""The table of networks: a name under `base: {family: …}` → its settings and its module.

A new network is a file with its settings, a file with its module, and a row here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kepipe.models.config import CONFIG, read_values
from kepipe.models.config_values import as_written, located
from kepipe.models.families import Published
from kepipe.models.networks.cnn_config import CNNBase, CNNConfig
from kepipe.models.networks.config import NetworkConfig, TokenTableBase
from kepipe.models.networks.lstm_config import LSTMBase, LSTMConfig
from kepipe.models.networks.nnlm_config import NNLMBase, NNLMConfig
from kepipe.models.networks.xlnet_config import TransformerXLBase, XLNetBase, XLNetConfig

if TYPE_CHECKING:
    from kepipe.arrays import Ints
    from kepipe.models.networks.network import Network
    from kepipe.tokenization.tokenizer import Tokenizer


@dataclass(frozen=True)
class NetworkFamily:
    """A row."""

    section: type[TokenTableBase]
    config: type[NetworkConfig]
    about: str
    """Description for the docs."""
    assemble: Callable[[Any], Network]
    """A config → the module, not yet initialised."""
    published: Published
    """Published training settings."""
    export: Callable[[Path, Path, Any], None] | None = None
    """(model folder, target folder, model): export to a format of another library; None: there is none."""

    def build(
        self,
        base: TokenTableBase,
        tokenizer: Tokenizer,
        seed: int,
        note: Callable[[str], None],
        counts: Ints | None,
    ) -> Network:
        """See `TrainedFamily`."""
        return build(base, tokenizer, seed, note, counts)


def _nnlm(config: NNLMConfig) -> Network:
    from kepipe.models.networks.nnlm import NNLM

    return NNLM(config)


def _lstm(config: LSTMConfig) -> Network:
    from kepipe.models.networks.lstm import LSTM

    return LSTM(config)


def _cnn(config: CNNConfig) -> Network:
    from kepipe.models.networks.cnn import CNN

    return CNN(config)


def _xlnet(config: XLNetConfig) -> Network:
    from kepipe.models.networks.xlnet import XLNet

    return XLNet(config)


def _export_xlnet(source: Path, folder: Path, model: Network) -> None:
    from kepipe.models.hf.xlnet import export

    export(source, folder, model)


NETWORKS: Mapping[str, NetworkFamily] = {
    "nnlm": NetworkFamily(
        NNLMBase,
        NNLMConfig,
        "feed-forward network over the vectors of the preceding tokens",
        _nnlm,
        "the paper (Bengio et al. 2003, section 3) updates by plain gradient descent after each word, not by batches",
    ),
    "lstm": NetworkFamily(
        LSTMBase,
        LSTMConfig,
        "recurrent network, in one direction or both",
        _lstm,
        "it is no model of one paper, and the usual ones (Zaremba et al. 2014, section 4.1) train by plain gradient "
        "descent, whose rate falls epoch by epoch",
    ),
    "cnn": NetworkFamily(
        CNNBase,
        CNNConfig,
        "convolutions over neighbouring tokens, with max pooling",
        _cnn,
        "the paper (Kim 2014, section 3.1) trains a classifier, and pretrains nothing but word vectors",
    ),
    "transformer-xl": NetworkFamily(
        TransformerXLBase,
        XLNetConfig,
        "causal attention, with a memory of previous rows",
        _xlnet,
        {  # Dai et al. 2019: the released code for WikiText-103, base
            "learning_rate": 2.5e-4,
            "warmup": 0.0,
            "schedule": "cosine",
            "weight_decay": 0.0,
            "betas": (0.9, 0.999),
            "epsilon": 1e-8,
            "max_grad_norm": 0.25,
        },
        _export_xlnet,
    ),
    "xlnet": NetworkFamily(
        XLNetBase,
        XLNetConfig,
        "bidirectional attention, tokens predicted in random order; with a memory",
        _xlnet,
        {  # Yang et al. 2019, appendix, hyperparameters for pretraining; betas and clipping: the released code
            "learning_rate": 4e-4,
            "warmup": 0.08,
            "betas": (0.9, 0.999),
            "max_grad_norm": 0.25,
        },
        _export_xlnet,
    ),
}


def assemble(config: NetworkConfig) -> Network:
    """The module of a config, on the meta device; `load_weights` or `initialise` fills it.

    Raises KeyError for an unknown family.
    """
    import torch

    with torch.device("meta"):
        return NETWORKS[config.family].assemble(config)


def build(
    base: TokenTableBase,
    tokenizer: Tokenizer,
    seed: int,
    note: Callable[[str], None] = lambda _: None,
    counts: Ints | None = None,
) -> Network:
    """A fresh network over a tokenizer's tokens, on the CPU in fp32.

    `counts`: frequencies of the tokens in the training text, int [V], which initialise the output bias. `note` gets the
    number of tokens initialised by word vectors. Raises ValueError if `embeddings` do not fit.
    """
    from kepipe.models.first_embeddings import init_embeddings
    from kepipe.models.output_bias import init_output_bias

    config = replace(base.configure(tokenizer.vocab_size), start=tokenizer.sep)
    model = assemble(config).initialise(seed)
    if base.embeddings is not None:
        init_embeddings(model, base.embeddings, tokenizer, note, setting="embedding")
    if counts is not None:
        init_output_bias(model, counts)
    return model


def read_network_config(folder: Path) -> NetworkConfig:
    """The config of a network's folder. Raises ValueError if there is none."""
    with located(folder / CONFIG):
        values = read_values(folder, NetworkConfig.format)
        family = values.get("family")
        if not isinstance(family, str) or family not in NETWORKS:
            raise ValueError(f"`family`: expected {', '.join(NETWORKS)}, found {as_written(family)}")
        return NETWORKS[family].config.from_json(values)


def load(folder: Path, dropout: float = 0.0) -> Network:
    """The network of a folder, on the CPU in evaluation mode, with this dropout. Raises ValueError if files are missing
    or inconsistent."""
    from kepipe.models.folder import load_weights

    return load_weights(folder, assemble(replace(read_network_config(folder), dropout=dropout)))
