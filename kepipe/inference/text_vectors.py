"""One vector per text from any encoder: the mean of its hidden states, or that of the first token."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
import torch.nn.functional as F

from kepipe.arrays import Floats32, Ints, pad
from kepipe.data.batch import Batch
from kepipe.data.nearest import Tick, blocks
from kepipe.inference.opening import open_model
from kepipe.models.protocols import Encoder, EncoderConfig
from kepipe.models.text_pooling import Pooling, trained_pooling
from kepipe.objectives.losses import tensor
from kepipe.tokenization.tokenizer import load_tokenizer

if TYPE_CHECKING:
    from kepipe.tokenization.tokenizer import Tokenizer

BATCH_TOKENS = 8192


@dataclass(frozen=True)
class TextVectors:
    """An encoder with its tokenizer. `length`: maximum number of tokens of a text, including special tokens."""

    encoder: Encoder
    config: EncoderConfig
    tokenizer: Tokenizer
    pooling: Pooling = "mean"
    length: int = 128
    device: str = "cpu"

    @torch.no_grad()
    def __call__(self, texts: Sequence[str]) -> Floats32:
        """Unit vectors, float32 [texts, D]."""
        rows = self._rows(texts)
        lengths_N = np.fromiter(map(len, rows), np.int64, len(rows))
        vectors_ND = np.zeros((len(rows), self.encoder.hidden_size), np.float32)
        order = np.argsort(-lengths_N, kind="stable")
        first = 0
        while first < len(order):
            chosen = order[first : first + max(1, BATCH_TOKENS // int(lengths_N[order[first]]))]
            vectors_ND[chosen] = self._pooled([rows[row] for row in chosen.tolist()])
            first += len(chosen)
        return vectors_ND

    def _rows(self, texts: Sequence[str]) -> list[Ints]:
        encoded = self.tokenizer.encode(list(texts))
        begin = [self.tokenizer.cls] if self.config.begins_with_cls else []
        room = min(self.length, self.config.positions or self.length) - len(begin) - 1
        parts = np.split(encoded.tokens, np.cumsum(encoded.lengths)[:-1])
        return [np.array([*begin, *part[:room], self.tokenizer.sep], np.int64) for part in parts]

    def _pooled(self, rows: Sequence[Ints]) -> Floats32:
        lengths_B = np.fromiter(map(len, rows), np.int64, len(rows))
        tokens_BT = tensor(pad(np.concatenate(rows), lengths_B, self.tokenizer.pad))
        there_BT = tensor(np.arange(tokens_BT.shape[1]) < lengths_B[:, None])
        visibility = "causal" if self.config.causal else "full"
        batch = Batch(tokens_BT, there_BT, visibility=visibility).to(self.device)
        hidden_BTD = self.encoder.encode(batch).float()
        if self.pooling == "mean":
            pooled_BD = (hidden_BTD * batch.documents[..., None]).sum(1) / batch.documents.sum(1)[:, None]
        else:
            pooled_BD = hidden_BTD[:, 0]
        vectors_BD: Floats32 = F.normalize(pooled_BD, dim=1).cpu().numpy()
        return vectors_BD


def open_text_vectors(
    folder: Path, *, pooling: Pooling | None = None, length: int = 128, device: str = "cpu"
) -> TextVectors:
    """The encoder of a model folder. `pooling`: by default that of its training, otherwise the mean. Raises ValueError
    for a model that is not an encoder."""
    opened = open_model(folder, device, added=None)
    config = getattr(opened.encoder, "config", None)
    if opened.encoder is None or not isinstance(config, EncoderConfig):
        raise ValueError(f"{folder}: this model is not an encoder: it has no text vectors")
    return TextVectors(
        opened.encoder,
        config,
        load_tokenizer(folder),
        pooling or trained_pooling(folder) or "mean",
        length,
        device,
    )


def write_vectors(
    file: Path, texts: Iterable[str], vectors: TextVectors, tick: Tick = lambda _: None
) -> Floats32:
    """Write the vectors of many texts as float16 [N, D] to a memory-mapped file, which is appended to, so that an
    interrupted call can be resumed."""
    width = 2 * vectors.encoder.hidden_size
    done = file.stat().st_size // width if file.exists() else 0
    with file.open("ab") as stream:
        stream.truncate(done * width)
        for block in _after(blocks(texts), done):
            stream.write(vectors(block).astype(np.float16).tobytes())
            stream.flush()
            tick(len(block))
    return np.memmap(file, np.float16, "r").reshape(-1, vectors.encoder.hidden_size)  # type: ignore[return-value]


def _after(parts: Iterator[list[str]], done: int) -> Iterator[list[str]]:
    for part in parts:
        if done < len(part):
            yield part[done:]
        done = max(0, done - len(part))
