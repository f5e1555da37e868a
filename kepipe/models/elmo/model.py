"""ELMo: a bidirectional language model over words in characters, and an encoder that mixes its layers."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from kepipe.data.batch import Batch
from kepipe.models import folder as folders
from kepipe.models.elmo.character_cnn import CharacterCNN
from kepipe.models.elmo.config import ElmoConfig, read_elmo_config
from kepipe.models.elmo.lstm import FORWARD, LSTMStack, States
from kepipe.models.elmo.scalar_mix import ScalarMix
from kepipe.models.elmo.softmax import (
    LETTERS,
    AdaptiveSoftmax,
    Classes,
    FullSoftmax,
    SampledSoftmax,
    classes_of,
)
from kepipe.models.elmo.spelling import CHARACTERS, Spelling, spelling_of
from kepipe.models.elmo.words import Words, WordTable
from kepipe.models.protocols import TrainableEncoder
from kepipe.nn.gather import pick, reversed_positions, to_device
from kepipe.tokenization.tokenizer import Tokenizer, load_tokenizer


class Spelled(NamedTuple):
    """What the model takes from its tokenizer: constants."""

    spelling: Spelling
    classes: Classes


def spelled(tokenizer: Tokenizer, config: ElmoConfig) -> Spelled:
    """A tokenizer's words in characters, and in classes. Raises ValueError for one of another size than the config."""
    if tokenizer.vocab_size != config.vocabulary:
        raise ValueError(
            f"the tokenizer has {tokenizer.vocab_size} tokens, the model is of one that has {config.vocabulary}"
        )
    spelling = spelling_of(tokenizer, config.longest)
    return Spelled(spelling, classes_of(tokenizer, spelling))


class Elmo(TrainableEncoder):
    """Legend: B rows, T tokens, W words, P projection, G = 2 directions, K layers, D = 2 P, N places.

    A word that several tokens spell is read as one; each of its tokens has its states.
    """

    config: ElmoConfig

    def __init__(self, config: ElmoConfig, constants: Spelled) -> None:
        super().__init__()
        self.config, self.constants = config, constants
        self.words = WordTable(constants.spelling)
        self.cnn = CharacterCNN(
            CHARACTERS,
            config.character_width,
            config.filters,
            config.highways,
            config.projection,
            config.activation,
        )
        self.lstm = LSTMStack(
            config.layers,
            (config.projection, config.cell),
            (config.cell_clip, config.projection_clip),
            skip=config.skip,
            dropout=config.dropout,
        )
        self.dropout = nn.Dropout(config.dropout)
        self.mixture = ScalarMix(config.layers + 1) if config.mixture else None
        self.head = _head(config, len(constants.classes.tokens))
        # ln p of each byte of a word that is spelled out, and of its end: counted, and not trained
        self.letters = nn.Parameter(torch.full((LETTERS,), -math.log(LETTERS)), requires_grad=False)
        self.classes = torch.from_numpy(constants.classes.of_token)  # stays on the CPU, as labels do

    @property
    def hidden_size(self) -> int:
        """See `Encoder`."""
        return self.config.hidden

    def forward(self, batch: Batch, places_N: Tensor | None = None) -> Tensor:
        """The last layer's states, [B, T, P], or [N, P] at places among the B·T: of rows that are read from the left
        (`Batch.from_right`) the forward direction's, of the others the backward direction's.

        There must be as many rows of both. `Batch.state`: see there.
        """
        assert batch.from_right is not None, "half of the rows are read from the right"
        host, device = batch.host, batch.tokens.device
        assert host.from_right is not None
        rows, length = batch.tokens.shape
        place_BT = reversed_positions(host.documents > 0, host.from_right)
        known = self.words(host.tokens.gather(1, place_BT), host.documents.gather(1, place_BT))
        words = known.to(device)
        forward, backward = (
            to_device(chosen_B.nonzero().squeeze(1), device)
            for chosen_B in (~host.from_right, host.from_right)
        )
        order_B = torch.cat([forward, backward])
        layers, states = self._read(
            self.cnn(words.characters), words, forward, backward, self._begun(batch.state, forward, backward)
        )
        if batch.state is not None:
            for number, state in enumerate(states):
                for name, value_GBD in state._asdict().items():
                    kept_BD = torch.empty_like(value_GBD).flatten(0, 1)
                    kept_BD[order_B] = value_GBD.flatten(0, 1)
                    batch.state[f"{name}{number}"] = kept_BD.detach()
        last_BWP = torch.empty_like(layers[-1]).flatten(0, 1)
        last_BWP[order_B] = layers[-1].flatten(0, 1)
        place_N = torch.arange(rows * length) if places_N is None else places_N.cpu()
        row_N = place_N // length
        word_N = known.of_token[row_N, place_BT.flatten()[place_N]]
        read_NP: Tensor = self.dropout(pick(last_BWP, row_N * known.rows.shape[1] + word_N))
        return read_NP.unflatten(0, (rows, length)) if places_N is None else read_NP  # type: ignore[no-untyped-call]

    def token_loss(self, hidden_NP: Tensor, labels_N: Tensor) -> Tensor:
        """The sum over the places of −ln p(the word of the label); all unknown words are one. Labels are looked up on
        the CPU: those that are on a device are waited for."""
        return self._softmax.summed_loss(hidden_NP, self.classes[labels_N.cpu()])

    def log_probabilities(self, hidden_NP: Tensor) -> Tensor:
        """ln p of each class of words (`kepipe.models.elmo.softmax`), [N, C]."""
        return self._softmax.log_probabilities(hidden_NP)

    def encode(self, batch: Batch) -> Tensor:
        """See `Encoder`: the mixture of layers, or the last one. States begin with 0 in each row.

        A row's first token stands for the row: its forward half is the state after the last word.
        """
        words = self.words(batch.host.tokens, batch.host.documents).to(batch.tokens.device)
        layers = self.layers(words)
        mixed_BWD = layers[-1] if self.mixture is None else self.mixture(layers)
        half = self.config.projection
        last_B = words.is_word.sum(1) - 1
        rows = torch.arange(len(last_B), device=last_B.device)
        first_BD = torch.cat([mixed_BWD[rows, last_B, :half], mixed_BWD[:, 0, half:]], -1)
        mixed_BWD = torch.cat([first_BD[:, None], mixed_BWD[:, 1:]], 1)
        index = words.of_token[..., None].expand(-1, -1, mixed_BWD.shape[-1])
        return mixed_BWD.gather(1, index)

    def layers(self, words: Words) -> list[Tensor]:
        """The word vectors twice, then each layer's states, forward and backward side by side: K + 1 of [B, W, D]."""
        vectors_UP = self.cnn(words.characters)
        rows = torch.arange(len(words.rows), device=words.rows.device)
        outputs, _ = self._read(vectors_UP, words, rows, rows, ())
        vectors_BWP = vectors_UP[words.rows] * words.is_word[..., None]
        return [torch.cat([vectors_BWP, vectors_BWP], -1), *(torch.cat([*output], -1) for output in outputs)]

    def read_forward(self, words: Words, before: Sequence[States] = ()) -> tuple[Tensor, list[States]]:
        """The last layer's forward states [B, W, P], and all layers' after the last word (G = 1)."""
        vectors_BWP = self.cnn(words.characters)[words.rows]
        is_word_GBW = None if words.unpadded else words.is_word[None]
        starts_document_GBW = None if words.one_document else words.starts_document[None]
        layers, states = self.lstm(vectors_BWP[None], is_word_GBW, starts_document_GBW, before, FORWARD)
        return layers[-1][0], states

    def _read(
        self, vectors_UP: Tensor, words: Words, forward: Tensor, backward: Tensor, before: Sequence[States]
    ) -> tuple[list[Tensor], list[States]]:
        """Each layer's outputs, [G, b, W, P], in the order of the text, and its states; of the rows `forward` in one
        direction and `backward` in the other."""
        place_BW = reversed_positions(words.is_word)[backward]
        # From the right, a document begins with its last word.
        last_BW = torch.zeros_like(words.starts_document)
        last_BW[:, :-1] = words.starts_document[:, 1:]
        index_GBW = torch.stack([words.rows[forward], words.rows[backward].gather(1, place_BW)])
        is_word_GBW = starts_document_GBW = None
        if not words.unpadded:
            is_word_GBW = torch.stack([words.is_word[forward], words.is_word[backward]])
        if not words.one_document:
            starts_document_GBW = torch.stack(
                [words.starts_document[forward], last_BW[backward].gather(1, place_BW)]
            )
        outputs, states = self.lstm(vectors_UP[index_GBW], is_word_GBW, starts_document_GBW, before)
        back = place_BW[..., None].expand(-1, -1, self.config.projection)
        return [torch.stack([output[0], output[1].gather(1, back)]) for output in outputs], states

    def _begun(self, state: dict[str, Tensor] | None, forward: Tensor, backward: Tensor) -> Sequence[States]:
        """The states with which a batch's rows begin."""
        if not state:
            return ()
        return [
            States(
                *(
                    torch.stack([state[f"{name}{number}"][forward], state[f"{name}{number}"][backward]])
                    for name in States._fields
                )
            )
            for number in range(self.config.layers)
        ]

    @property
    def _softmax(self) -> FullSoftmax | AdaptiveSoftmax:
        if self.head is None:
            raise ValueError(
                "this model came without the layer that tells the next word: it is an encoder alone"
            )
        return self.head

    def partially_used_parameters(self) -> list[nn.Parameter]:
        """See `TrainableModel`: tasks do not tell words, and language models mix no layers."""
        return [*self.task_parameters(), *([] if self.head is None else self.head.parameters())]

    def task_parameters(self) -> list[nn.Parameter]:
        """See `TrainableEncoder`: the mixture of layers is the task's own."""
        return [] if self.mixture is None else [*self.mixture.parameters()]

    def with_tokenizer(self, tokenizer: Tokenizer) -> Elmo:
        """See `SpelledVocabulary`."""
        config = replace(self.config, vocabulary=tokenizer.vocab_size)
        return self._again(Elmo(config, spelled(tokenizer, config)))

    def top_layer_alone(self) -> Elmo:
        """See `LayerMixture`."""
        return self._again(Elmo(replace(self.config, mixture=False), self.constants))

    def _again(self, model: Elmo) -> Elmo:
        """Another model with this one's weights, as far as it has them."""
        weights = model.to(self.letters).state_dict()
        model.load_state_dict({name: value for name, value in self.state_dict().items() if name in weights})
        return model.train(self.training)


def _head(config: ElmoConfig, classes: int) -> FullSoftmax | AdaptiveSoftmax | None:
    if config.softmax == "none":
        return None
    if config.softmax == "adaptive":
        return AdaptiveSoftmax(config.projection, classes, config.cutoffs)
    if config.softmax == "sampled":
        return SampledSoftmax(config.projection, classes, config.samples)
    return FullSoftmax(config.projection, classes)


def load(folder: Path, device: str = "cpu", dropout: float = 0.0) -> Elmo:
    """The model of a folder, in evaluation mode. Raises ValueError where files are missing or do not fit each
    other."""
    config = replace(read_elmo_config(folder), dropout=dropout)
    model = Elmo(config, spelled(load_tokenizer(folder), config))
    return folders.load_weights(folder, model).to(device)
