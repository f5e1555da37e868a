"""The protocols by which the rest of kepipe uses a model, whatever it is.

Perplexity, few-shot prompts and quizzes use a `LanguageModel`, clozes a `MaskedLanguageModel`, the heads of tasks an
`Encoder`, the training loop a `TrainableModel`. A model may be several of these.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol, Self, runtime_checkable

from torch import Tensor, nn

from kepipe.arrays import Bools, Floats, Ints

if TYPE_CHECKING:
    from kepipe.data.batch import Batch
    from kepipe.models.families import Stacks
    from kepipe.tokenization.tokenizer import Tokenizer

Capability = Literal["language-model", "masked-lm", "encoder"]
"""What a model can be used as: `LanguageModel`, `MaskedLanguageModel`, `Encoder`."""


class ModelConfig(Protocol):
    """A model's config, which is read before any weight."""

    @property
    def capabilities(self) -> frozenset[Capability]:
        """What a model of this config can be used as."""
        ...


@runtime_checkable
class EncoderConfig(ModelConfig, Protocol):
    """The config of an encoder for tasks and knowledge methods: what is needed to make its rows."""

    format: ClassVar[str]
    """The value of `format` in `config.json`: the kind of model (see `kepipe.inference.opening`), `/`, a version."""
    reads_trees: ClassVar[bool]
    """Whether the model uses `Batch.positions`, `branch` and `mention`, which injected triples (K-BERT) need for soft
    positions and the visible matrix."""

    @property
    def carries_state(self) -> bool:
        """Whether the model carries state from batch to batch (`Batch.state`)."""
        ...

    @property
    def vocabulary(self) -> int:
        """Size of the vocabulary: rows of the token embeddings."""
        ...

    @property
    def positions(self) -> int:
        """Maximum row length in tokens; 0: unlimited."""
        ...

    @property
    def segments(self) -> int:
        """Number of segment ids."""
        ...

    @property
    def causal(self) -> bool:
        """Whether a token's hidden state depends only on the tokens before it."""
        ...

    @property
    def begins_with_cls(self) -> bool:
        """Whether rows begin with [CLS], which represents the row; else its last token does."""
        ...

    @property
    def start(self) -> int | None:
        """Id of the token with which a decoder's input begins; None: the tokenizer's first special token."""
        ...

    def to_json(self) -> dict[str, Any]:
        """JSON values for `config.json`."""
        ...


@runtime_checkable
class TrainableConfig(EncoderConfig, Protocol):
    """The config of a model that objectives can train: what their requirements are checked against."""

    @property
    def masks_documents(self) -> bool:
        """Whether the documents of a row can be hidden from one another."""
        ...

    @property
    def family(self) -> str:
        """Its row in a table of families."""
        ...

    @property
    def stacks(self) -> Stacks:
        """Encoder, decoder or both. An encoder sees both sides of a token, a decoder the tokens before it."""
        ...

    @property
    def objectives(self) -> frozenset[str] | None:
        """Names of the only objectives that can train it; None: all that train its stacks."""
        ...

    @property
    def tasks(self) -> int:
        """Number of task ids."""
        ...

    @property
    def next_sentence(self) -> bool:
        """Whether it has a next-sentence head."""
        ...


@runtime_checkable
class LanguageModel(Protocol):
    """A model that scores texts token by token: n-grams, GPT, BART, T5."""

    @property
    def tokenizer(self) -> Tokenizer:
        """Whose tokens it reads."""
        ...

    def log_likelihoods(
        self, prompts: Sequence[Ints], rows: Sequence[int], targets: Sequence[Ints]
    ) -> Floats:
        """ln p of each token of N targets, each after prompt number `rows[n]`: float [N, U], 0 on padding.

        `prompts`, `targets`: tokens without special tokens, int [T], int [U]. Prompts are read once, however many
        targets follow each. Raises ValueError where prompt and target are longer than the model can read.
        """
        ...


@runtime_checkable
class TextGenerator(LanguageModel, Protocol):
    """A language model that generates text."""

    def generate(self, prompts: Sequence[Ints], *, limit: int) -> list[Ints]:
        """The greedy continuation of each prompt: int [≤ limit], without the end token."""
        ...


@runtime_checkable
class NextTokenModel(TextGenerator, Protocol):
    """A language model that gives the distribution of the next token, so that it can be sampled."""

    @property
    def end(self) -> int:
        """Id of the token that ends a text; −1: there is none."""
        ...

    def log_probabilities(self, texts: Sequence[Ints]) -> Floats:
        """ln p of the next token after each of B texts: float [B, V], −∞ for tokens that are never generated.

        `texts`: tokens without special tokens, int [T].
        """
        ...


@runtime_checkable
class OwnVocabulary(LanguageModel, Protocol):
    """A language model whose vocabulary may lack tokens of its tokenizer (see `kepipe.models.prompting.unknown`)."""

    def unknown(self, tokens_T: Ints) -> Bools:
        """Which tokens the model reads as the unknown word, bool [T]."""
        ...


@runtime_checkable
class CountsParameters(Protocol):
    """A model with a number of parameters."""

    @property
    def num_parameters(self) -> int:
        """Number of weights; for n-grams, of probabilities and back-off weights."""
        ...


@runtime_checkable
class MaskedLanguageModel(Protocol):
    """A model that predicts masked tokens: BERT, RoBERTa."""

    @property
    def tokenizer(self) -> Tokenizer:
        """Whose tokens it reads."""
        ...

    def masked_logits(self, batch: Batch) -> Tensor:
        """Logits, float32 [N, V], at `batch.label_positions` [N]. The batch may be on another device."""
        ...


@runtime_checkable
class Encoder(Protocol):
    """A model that maps tokens to hidden states: static vectors, an LSTM, BERT, GPT, the encoders of BART and T5."""

    @property
    def hidden_size(self) -> int:
        """D, the width of hidden states."""
        ...

    def encode(self, batch: Batch) -> Tensor:
        """Hidden states of `batch.tokens`: [B, T, D]."""
        ...


FlexUse = Literal["never", "packed", "always"]
"""Where attention does not compute what is masked: nowhere; in packed rows, which are of one length, so that one kernel
is enough; or wherever there is a mask."""


@dataclass(frozen=True)
class ParameterGroup:
    """Weights that an optimiser treats alike. `rate`: their learning rate as a share of that of the step."""

    parameters: list[nn.Parameter]
    decays: bool
    rate: float = 1.0


class TrainableModel(nn.Module):
    """What the training loop needs of a module besides its forward pass. The defaults are for a module without
    layers."""

    compiled_on_gpu: ClassVar[bool] = False
    """Whether `compile: auto` compiles the layers: they are alike, and rows of pretraining mostly of one length."""
    few_shapes: bool = False
    """Whether layers are compiled for each shape: what they read should then depend little on how full a batch is."""

    def parameter_groups(self) -> list[ParameterGroup]:
        """The trainable weights: weight decay for matrices, none for vectors (biases, norms), as in BERT."""
        learning = [parameter for parameter in self.parameters() if parameter.requires_grad]
        return [
            ParameterGroup([parameter for parameter in learning if parameter.ndim >= 2], decays=True),
            ParameterGroup([parameter for parameter in learning if parameter.ndim < 2], decays=False),
        ]

    def layer_modules(self) -> list[nn.Module]:
        """The repeated layers: each is compiled, and sharded over processes (FSDP2), by itself."""
        return []

    def partially_used_parameters(self) -> list[nn.Parameter]:
        """Weights that only some losses use, such as those of heads. A model that names none has a gradient for each
        weight, whatever the batch."""
        return []

    def set_gradient_checkpointing(self, on: bool) -> None:
        """Recompute activations in the backward pass. Raises ValueError if the model does not support it."""
        if on:
            raise ValueError(
                f"gradient_checkpointing: not implemented for {type(self).__name__}: leave it out"
            )

    def set_flex_attention(self, use: FlexUse) -> None:
        """Do not compute what is masked. Raises ValueError if the model does not support it."""
        if use != "never":
            raise ValueError(f"flex_attention: not implemented for {type(self).__name__}: leave it out")


class TrainableEncoder(TrainableModel):
    """A trainable `Encoder`, as tasks need it."""

    config: EncoderConfig

    @property
    def hidden_size(self) -> int:
        """See `Encoder`."""
        raise NotImplementedError

    def encode(self, batch: Batch) -> Tensor:
        """See `Encoder`."""
        raise NotImplementedError

    def task_parameters(self) -> list[nn.Parameter]:
        """Weights that belong to a task, such as a mixture of layers: they are trained even if all others are
        frozen."""
        return []


@runtime_checkable
class SpelledVocabulary(Protocol):
    """An encoder that reads tokens by their spelling, and so works with any tokenizer."""

    def with_tokenizer(self, tokenizer: Tokenizer) -> Self:
        """The model for a tokenizer that has more tokens. Its weights are the same."""
        ...


@runtime_checkable
class LayerMixture(Protocol):
    """An encoder whose hidden states are a mixture of its layers."""

    def top_layer_alone(self) -> Self:
        """The model with the hidden states of its last layer only."""
        ...


@runtime_checkable
class LayerStates(Protocol):
    """An encoder that shows the states of all its layers."""

    @property
    def num_states(self) -> int:
        """How many `encode_layers` gives."""
        ...

    def encode_layers(self, batch: Batch) -> list[Tensor]:
        """The outputs of all layers, the last of them what `encode` returns, [B, T, D] each; before them the embedded
        tokens, if the embeddings are as wide as the layers by design (transformers)."""
        ...


@runtime_checkable
class ExtensibleVocabulary(Protocol):
    """An encoder with token embeddings that can be extended."""

    @property
    def token_embeddings(self) -> nn.Embedding:
        """The token embeddings, [V, D]."""
        ...

    def with_vocabulary(self, size: int) -> Self:
        """The model with a larger vocabulary; the new embeddings are zeros."""
        ...
