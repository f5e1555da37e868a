"""MLflow predictions of a masked language model: the most likely fillings of each mask, as a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import torch

from kepipe.data.batch import Batch
from kepipe.device import resolve
from kepipe.inference.opening import open_model
from kepipe.models.protocols import MaskedLanguageModel
from kepipe.tracking.texts import texts_of

if TYPE_CHECKING:
    import pandas as pd

COLUMNS = ("text", "place", "prediction", "probability")
BATCH_SIZE = 32
"""Texts per forward pass."""


class MaskPredictor:
    """A masked language model; MLflow calls `predict`."""

    def __init__(self, model: MaskedLanguageModel) -> None:
        self._model, self._tokenizer = model, model.tokenizer
        self._mask = model.tokenizer.named["mask"]

    @classmethod
    def load(cls, folder: Path) -> Self:
        """The model in a folder. Raises ValueError for one that does not fill masks."""
        model = open_model(folder, resolve("auto")).masked_language_model
        if model is None:
            raise ValueError(f"{folder}: this model does not fill masks")
        return cls(model)

    def predict(self, model_input: Any, params: Mapping[str, Any] | None = None) -> pd.DataFrame:
        """One row for each of the `top` most likely fillings of each mask of each text, the most likely first.

        `text` and `place` are 0-based indices of the text and of the mask in it. Raises ValueError for a text without a
        mask or too long for the model.
        """
        import pandas as pd

        texts = texts_of(model_input)
        top = int((params or {}).get("top", 5))
        rows: list[tuple[int, int, str, float]] = []
        for start in range(0, len(texts), BATCH_SIZE):
            rows += self._answer(texts[start : start + BATCH_SIZE], start, top)
        return pd.DataFrame(rows, columns=list(COLUMNS))

    @torch.inference_mode()
    def _answer(self, texts: Sequence[str], start: int, top: int) -> list[tuple[int, int, str, float]]:
        sentences = [self._ids(text, start + number) for number, text in enumerate(texts)]
        batch, places = self._batch(sentences)
        probabilities_NV = self._model.masked_logits(batch).softmax(-1)
        likeliest = probabilities_NV.topk(min(top, probabilities_NV.shape[1]))
        rows = []
        for (row, place), ids, values in zip(
            places, likeliest.indices.tolist(), likeliest.values.tolist(), strict=True
        ):
            rows += [
                (start + row, place, self._tokenizer.decode([i]), p) for i, p in zip(ids, values, strict=True)
            ]
        return rows

    def _ids(self, text: str, number: int) -> list[int]:
        """Token ids of a text with its masks, with the special tokens at both ends."""
        if self._mask not in text:
            raise ValueError(f"text {number} has no {self._mask}: {text[:80]!r}")
        encoded = self._tokenizer.encode(text.split(self._mask))
        pieces = np.split(encoded.tokens, np.cumsum(encoded.lengths)[:-1])
        ids = [self._tokenizer.cls, *pieces[0].tolist()]
        for piece in pieces[1:]:
            ids += [self._tokenizer.mask, *piece.tolist()]
        ids.append(self._tokenizer.sep)
        return ids

    def _batch(self, sentences: Sequence[list[int]]) -> tuple[Batch, list[tuple[int, int]]]:
        """The batch, and (row, index of the mask in the row) of each mask, in the order of `label_positions`."""
        longest = max(map(len, sentences))
        tokens_BT = torch.full((len(sentences), longest), self._tokenizer.pad)
        documents_BT = torch.zeros_like(tokens_BT)
        for row, ids in enumerate(sentences):
            tokens_BT[row, : len(ids)] = torch.tensor(ids)
            documents_BT[row, : len(ids)] = 1
        masks_BT = tokens_BT == self._tokenizer.mask
        counts_BT = masks_BT.cumsum(1) - 1
        places = [(row, int(counts_BT[row, column])) for row, column in masks_BT.nonzero().tolist()]
        batch = Batch(
            tokens=tokens_BT,
            documents=documents_BT,
            segments=torch.zeros_like(tokens_BT),
            label_positions=masks_BT.flatten().nonzero().squeeze(1),
        )
        return batch, places
