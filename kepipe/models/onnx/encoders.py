"""What goes into a graph of each kind of model, and what comes out."""

from __future__ import annotations

from torch import Tensor

from kepipe.data.batch import Batch
from kepipe.models.batch_visibility import memory_visibility
from kepipe.models.networks.network import Network, ReadingNetwork
from kepipe.models.onnx.graph import DECODER_TOKENS, PRESENT, SEGMENTS, TOKENS, GraphModule, Port
from kepipe.models.protocols import EncoderConfig, TrainableEncoder
from kepipe.models.transformer import Transformer
from kepipe.nn.visibility import causal

NEXT = "unnormalised log-probabilities of the token after each place, given those up to it"
MASKED = "unnormalised log-probabilities of the token at each place; ask where the input has the mask token"
DECODED = "unnormalised log-probabilities of the token after each place of decoder_input_ids"


def token_inputs(config: EncoderConfig) -> tuple[Port, ...]:
    """What an encoder reads."""
    return (TOKENS, PRESENT, SEGMENTS) if config.segments > 1 else (TOKENS, PRESENT)


def batch_of(config: EncoderConfig, inputs: tuple[Tensor, ...]) -> Batch:
    """The batch of these inputs."""
    tokens_BT, there_BT, *more = inputs
    segments_BT = more[0] if more else None
    return Batch(tokens_BT, there_BT, segments_BT, visibility="causal" if config.causal else "full")


def hidden_port(width: int) -> Port:
    """Of an encoder's states."""
    about = "hidden states, what the heads of tasks read; those of padding mean nothing"
    return Port("last_hidden_state", ("batch", "length", width), about)


def vocabulary_port(size: int, about: str, length: str = "length") -> Port:
    """Of what is predicted at each place."""
    return Port("logits", ("batch", length, size), about)


class EncoderGraph(GraphModule):
    """An encoder without predictions of tokens: static vectors."""

    def __init__(self, model: TrainableEncoder) -> None:
        super().__init__()
        self.model = model
        self.inputs = token_inputs(model.config)
        self.outputs = (hidden_port(model.hidden_size),)

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """[B, T, D]."""
        return (self.model.encode(batch_of(self.model.config, inputs)),)


class NetworkGraph(GraphModule):
    """A network: hidden states where it is an encoder, and logits. A text begins with fresh states, without a memory.

    One that reads both sides of a token and is a language model all the same (XLNet) has a second stream for logits.
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
    """A transformer with both stacks: the encoder's hidden states, and the decoder's logits."""

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
    """The graph of a transformer. Raises ValueError for one that reads entity vectors."""
    assert isinstance(model, Transformer)
    if model.config.fusion is not None:
        raise ValueError("a model that fuses entity vectors with the text has no ONNX graph yet")
    both = model.encoder is not None and model.decoder is not None
    return TextToTextGraph(model) if both else TransformerGraph(model)


def network_graph(model: TrainableEncoder) -> GraphModule:
    """The graph of a network."""
    assert isinstance(model, Network)
    return NetworkGraph(model)
