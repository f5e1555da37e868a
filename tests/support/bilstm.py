"""An encoder that is not a transformer: a bidirectional LSTM, as a row of the table of model kinds."""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from kepipe.data.batch import Batch
from kepipe.inference.opening import ModelKind, Note, OpenedModel
from kepipe.models import folder as folders
from kepipe.models.config import read_values
from kepipe.models.protocols import Capability, TrainableEncoder


@dataclass(frozen=True)
class BiLSTMConfig:
    """Its sizes and its row format."""

    format: ClassVar[str] = "bilstm/1"
    reads_trees: ClassVar[bool] = False
    carries_state: ClassVar[bool] = False

    vocabulary: int
    width: int
    positions: int = 0
    segments: int = 0
    causal: bool = False
    begins_with_cls: bool = True
    start: int | None = None

    @property
    def capabilities(self) -> frozenset[Capability]:
        return frozenset({"encoder"})

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


class BiLSTM(TrainableEncoder):
    """The concatenated hidden states of both directions."""

    def __init__(self, config: BiLSTMConfig) -> None:
        super().__init__()
        self.config = config
        self.tokens = nn.Embedding(config.vocabulary, config.width)
        self.lstm = nn.LSTM(config.width, config.width, batch_first=True, bidirectional=True)

    @property
    def hidden_size(self) -> int:
        return self.lstm.hidden_size * 2

    def encode(self, batch: Batch) -> Tensor:
        lengths_B = (batch.documents > 0).sum(1).cpu()
        packed = pack_padded_sequence(
            self.tokens(batch.tokens), lengths_B, batch_first=True, enforce_sorted=False
        )
        hidden_BTD: Tensor = pad_packed_sequence(
            self.lstm(packed)[0], batch_first=True, total_length=batch.tokens.shape[1]
        )[0]
        return hidden_BTD

    @property
    def token_embeddings(self) -> nn.Embedding:
        return self.tokens

    def with_vocabulary(self, size: int) -> BiLSTM:
        grown = BiLSTM(replace(self.config, vocabulary=size))
        grown.lstm = self.lstm
        with torch.no_grad():
            grown.tokens.weight.zero_()[: self.config.vocabulary] = self.tokens.weight
        return grown


def read_config(folder: Path) -> BiLSTMConfig:
    return BiLSTMConfig(**read_values(folder, BiLSTMConfig.format))


def load(folder: Path, _dropout: float, _seed: int, _note: Note) -> BiLSTM:
    return folders.load_weights(folder, BiLSTM(read_config(folder)))


def open_bilstm(folder: Path, device: str, note: Note) -> OpenedModel:
    return OpenedModel(folder, encoder=load(folder, 0.0, 0, note).to(device))


KIND = ModelKind(read_config, open_bilstm, load)
