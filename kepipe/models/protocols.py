"""What the rest of kepipe asks of a model, whatever it is made of.

Perplexity, few-shot prompts and quizzes stand on a `LanguageModel`, clozes on a `MaskedLanguageModel`, the heads of
tasks on an `Encoder`, the training loop on a `TrainableModel`. A model may be several of these at once.
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
"""What a model can be used as: by `LanguageModel`, `MaskedLanguageModel`, `Encoder`."""


class ModelConfig(Protocol):
    """What a model is made of, known before any weight is read."""

    @property
    def capabilities(self) -> frozenset[Capability]:
        """What a model of this config can be used as."""
        ...


@runtime_checkable
class EncoderConfig(ModelConfig, Protocol):
    """The config of an encoder that tasks and knowledge can be put on: what has to be known to lay out its rows."""

    format: ClassVar[str]
    """What `config.json` says of itself: the kind of the model (see `kepipe.inference.opening`), `/`, a version."""
    reads_trees: ClassVar[bool]
    """Whether the model reads who sees whom and where a token stands from a batch (`Batch.positions`, `branch`,
    `mention`), as triples beside their words need it."""

    @property
    def carries_state(self) -> bool:
        """Whether something is carried from batch to batch (`Batch.state`)."""
        ...

    @property
    def vocabulary(self) -> int:
        """Rows of the table of tokens."""
        ...

    @property
    def positions(self) -> int:
        """The longest row in tokens; 0: of any length."""
        ...

    @property
    def segments(self) -> int:
        """Kinds of segments that rows may have."""
        ...

    @property
    def causal(self) -> bool:
        """Whether a token's hidden state knows only what stands left of it."""
        ...

    @property
    def begins_with_cls(self) -> bool:
        """Whether rows begin with the tokenizer's first special token; else the last token stands for the row."""
        ...

    @property
    def start(self) -> int | None:
        """Id of the token with which a decoder's input begins; None: the tokenizer's first special token."""
        ...

    def to_json(self) -> dict[str, Any]:
        """Plain values for `config.json`."""
        ...


@runtime_checkable
class TrainableConfig(EncoderConfig, Protocol):
    """The config of a model that objectives train: what they ask for."""

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
        """An encoder sees both sides of a token, a decoder what stands left of it."""
        ...

    @property
    def objectives(self) -> frozenset[str] | None:
        """Names of the objectives that alone train it; None: all that train its stacks."""
        ...

    @property
    def tasks(self) -> int:
        """Kinds of tasks that it can be told of."""
        ...

    @property
    def next_sentence(self) -> bool:
        """Whether it has a head that judges rows."""
        ...


@runtime_checkable
class LanguageModel(Protocol):
    """Says how likely a text is, token by token: an n-gram model, GPT, BART, T5."""

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
    """A language model that writes."""

    def generate(self, prompts: Sequence[Ints], *, limit: int) -> list[Ints]:
        """The likeliest next tokens of each prompt, one after the other: int [≤ limit], without the end token."""
        ...


@runtime_checkable
class NextTokenModel(TextGenerator, Protocol):
    """A language model whose next token can be drawn."""

    @property
    def end(self) -> int:
        """The token that ends a text; −1: it has none."""
        ...

    def log_probabilities(self, texts: Sequence[Ints]) -> Floats:
        """ln p of every token after each of B texts: float [B, V], −∞ for what is not written.

        `texts`: tokens without special tokens, int [T].
        """
        ...


@runtime_checkable
class OwnVocabulary(LanguageModel, Protocol):
    """A language model whose words need not be all of its tokenizer's tokens: `kepipe.models.prompting.unknown`."""

    def unknown(self, tokens_T: Ints) -> Bools:
        """Which tokens the model reads as the unknown word, bool [T]."""
        ...


@runtime_checkable
class CountsParameters(Protocol):
    """A model that says how large it is."""

    @property
    def num_parameters(self) -> int:
        """Its weights; of a model that counts, its probabilities and back-off weights."""
        ...


@runtime_checkable
class MaskedLanguageModel(Protocol):
    """Fills blanks: BERT, RoBERTa."""

    @property
    def tokenizer(self) -> Tokenizer:
        """Whose tokens it reads."""
        ...

    def masked_logits(self, batch: Batch) -> Tensor:
        """Logits, float32 [N, V], at `batch.label_positions` [N]. The batch may lie on another device."""
        ...


@runtime_checkable
class Encoder(Protocol):
    """Tokens → hidden states: static vectors, an LSTM, BERT, GPT, the encoders of BART and T5."""

    @property
    def hidden_size(self) -> int:
        """D."""
        ...

    def encode(self, batch: Batch) -> Tensor:
        """Hidden states of `batch.tokens`: [B, T, D]."""
        ...


@dataclass(frozen=True)
class ParameterGroup:
    """Weights that an optimiser treats alike. `rate`: their learning rate as a share of that of the step."""

    parameters: list[nn.Parameter]
    decays: bool
    rate: float = 1.0


class TrainableModel(nn.Module):
    """What the training loop asks of a module besides its forward pass. The defaults suit a module without layers."""

    def parameter_groups(self) -> list[ParameterGroup]:
        """The weights that learn: matrices decay, vectors (biases, norms) do not (as in BERT)."""
        learning = [parameter for parameter in self.parameters() if parameter.requires_grad]
        return [
            ParameterGroup([parameter for parameter in learning if parameter.ndim >= 2], decays=True),
            ParameterGroup([parameter for parameter in learning if parameter.ndim < 2], decays=False),
        ]

    def layer_modules(self) -> list[nn.Module]:
        """The repeated units: each is compiled, and cut up over processes (FSDP2), by itself."""
        return []

    def partially_used_parameters(self) -> list[nn.Parameter]:
        """Weights that some losses use and others do not, such as those of heads."""
        return []

    def set_gradient_checkpointing(self, on: bool) -> None:
        """Compute activations again in the backward pass. Raises ValueError where that cannot be done."""
        if on:
            raise ValueError(
                f"gradient_checkpointing: not implemented for {type(self).__name__}: leave it out"
            )

    def set_flex_attention(self, on: bool) -> None:
        """Use FlexAttention's block masks. Raises ValueError where that cannot be done."""
        if on:
            raise ValueError(f"flex_attention: not implemented for {type(self).__name__}: leave it out")


class TrainableEncoder(TrainableModel):
    """An `Encoder` that learns, as tasks need it."""

    config: EncoderConfig

    @property
    def hidden_size(self) -> int:
        """See `Encoder`."""
        raise NotImplementedError

    def encode(self, batch: Batch) -> Tensor:
        """See `Encoder`."""
        raise NotImplementedError

    def task_parameters(self) -> list[nn.Parameter]:
        """Weights that are a task's own, such as a mixture of layers: they learn where all others are frozen."""
        return []


@runtime_checkable
class SpelledVocabulary(Protocol):
    """An encoder that reads tokens by how their names are written, and so any tokens that a tokenizer has."""

    def with_tokenizer(self, tokenizer: Tokenizer) -> Self:
        """The model for a tokenizer that has more tokens. Its weights are the same."""
        ...


@runtime_checkable
class LayerMixture(Protocol):
    """An encoder whose states are a mixture of its layers."""

    def top_layer_alone(self) -> Self:
        """The model whose states are those of its last layer."""
        ...


@runtime_checkable
class LayerStates(Protocol):
    """An encoder that shows the states of all its layers."""

    @property
    def num_states(self) -> int:
        """How many `encode_layers` gives."""
        ...

    def encode_layers(self, batch: Batch) -> list[Tensor]:
        """The embedded tokens and each layer's output, [B, T, D] each."""
        ...


@runtime_checkable
class ExtensibleVocabulary(Protocol):
    """An encoder with a vector for each token, which can be given more tokens."""

    @property
    def token_embeddings(self) -> nn.Embedding:
        """The table of tokens, [V, D]."""
        ...

    def with_vocabulary(self, size: int) -> Self:
        """The model with a larger vocabulary; what is added holds zeros."""
        ...
