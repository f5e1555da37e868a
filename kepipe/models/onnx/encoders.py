"""Inputs and outputs of the ONNX graph of each kind of model."""

from __future__ import annotations

from torch import Tensor

from kepipe.data.batch import Batch
from kepipe.models.batch_visibility import memory_visibility
from kepipe.models.networks.network import Network, ReadingNetwork
from kepipe.models.onnx.graph import DECODER_TOKENS, PRESENT, SEGMENTS, TOKENS, GraphModule, Port
from kepipe.models.protocols import EncoderConfig, TrainableEncoder
from kepipe.models.transformer import Transformer
from kepipe.nn.visibility import causal

NEXT = "unnormalised log-probabilities of the next token at each position, given the tokens up to it"
MASKED = "unnormalised log-probabilities of the token at each position; meaningful at mask tokens"
DECODED = "unnormalised log-probabilities of the next token at each position of decoder_input_ids"


def token_inputs(config: EncoderConfig) -> tuple[Port, ...]:
    """Inputs of an encoder."""
    return (TOKENS, PRESENT, SEGMENTS) if config.segments > 1 else (TOKENS, PRESENT)


def batch_of(config: EncoderConfig, inputs: tuple[Tensor, ...]) -> Batch:
    """The batch with these inputs."""
    tokens_BT, there_BT, *more = inputs
    segments_BT = more[0] if more else None
    return Batch(tokens_BT, there_BT, segments_BT, visibility="causal" if config.causal else "full")


def hidden_port(width: int) -> Port:
    """The output port of an encoder's hidden states."""
    about = "hidden states, the input of task heads; undefined on padding"
    return Port("last_hidden_state", ("batch", "length", width), about)


def vocabulary_port(size: int, about: str, length: str = "length") -> Port:
    """The output port of token predictions."""
    return Port("logits", ("batch", length, size), about)


class EncoderGraph(GraphModule):
    """An encoder without token predictions: static vectors."""

    def __init__(self, model: TrainableEncoder) -> None:
        super().__init__()
        self.model = model
        self.inputs = token_inputs(model.config)
        self.outputs = (hidden_port(model.hidden_size),)

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """[B, T, D]."""
        return (self.model.encode(batch_of(self.model.config, inputs)),)


class NetworkGraph(GraphModule):
    """A network: hidden states if it is an encoder, and logits. Recurrent states start fresh, without a memory.

    XLNet, which is an encoder and a language model, has a second stream for logits.
    """

    def __init__(self, model: Network) -> None:
        super().__init__()
        self.model = model
        can = model.config.capabilities
        self.encodes = "encoder" in can
        self.second_stream = "language-model" in can and not model.config.causal
        logits = vocabulary_port(model.config.vocabulary, NEXT if "language-model" in can else MASKED)
        self.inputs = token_inputs(model.config)
        self.outputs = (hidden_port(model.hidden_size), logits) if self.encodes else (logits,)

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """[B, T, D] and [B, T, V]."""
        batch = batch_of(self.model.config, inputs)
        states_BTD = telling_BTD = self.model.states(batch)
        if self.second_stream:
            assert isinstance(self.model, ReadingNetwork)
            telling_BTD = self.model.read(batch.tokens)[0]
        logits_BTV = self.model.vocabulary(telling_BTD)
        return (self.model.with_row_state(states_BTD, batch), logits_BTV) if self.encodes else (logits_BTV,)


class TransformerGraph(GraphModule):
    """A transformer with one stack: hidden states and logits."""

    def __init__(self, model: Transformer) -> None:
        super().__init__()
        self.model = model
        about = MASKED if model.decoder is None else NEXT
        self.inputs = token_inputs(model.config)
        self.outputs = hidden_port(model.hidden_size), vocabulary_port(model.config.vocabulary, about)

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """[B, T, D] and [B, T, V]."""
        hidden_BTD = self.model.encode(batch_of(self.model.config, inputs))
        return hidden_BTD, self.model.vocabulary(hidden_BTD)


class TextToTextGraph(GraphModule):
    """An encoder-decoder: the encoder's hidden states, and the decoder's logits."""

    def __init__(self, model: Transformer) -> None:
        super().__init__()
        self.model = model
        self.inputs = (*token_inputs(model.config), DECODER_TOKENS)
        logits = vocabulary_port(model.config.vocabulary, DECODED, "decoder_length")
        self.outputs = hidden_port(model.hidden_size), logits
        self.start = model.config.start

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """[B, T, D] and [B, U, V]."""
        *of_encoder, decoder_tokens_BU = inputs
        batch = batch_of(self.model.config, tuple(of_encoder))
        hidden_BTD = self.model.encode(batch)
        decoded_BUD = self.model.decode_tokens(
            decoder_tokens_BU,
            causal(),
            memory_BSD=hidden_BTD,
            memory_visibility=memory_visibility(batch),
        )
        return hidden_BTD, self.model.vocabulary(decoded_BUD)


def transformer_graph(model: TrainableEncoder) -> GraphModule:
    """The graph of a transformer. Raises ValueError for one that fuses entity vectors."""
    assert isinstance(model, Transformer)
    if model.config.fusion is not None:
        raise ValueError("models that fuse entity vectors cannot be exported to ONNX yet")
    both = model.encoder is not None and model.decoder is not None
    return TextToTextGraph(model) if both else TransformerGraph(model)


def network_graph(model: TrainableEncoder) -> GraphModule:
    """The graph of a network."""
    assert isinstance(model, Network)
    return NetworkGraph(model)
