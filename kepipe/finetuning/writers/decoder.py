"""A decoder continues the text: GPT."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from kepipe.arrays import Ints
from kepipe.finetuning.output import AnswerFormat
from kepipe.finetuning.writers.base import Writer
from kepipe.finetuning.writers.joining import join

if TYPE_CHECKING:
    from torch import Tensor

    from kepipe.data.batch import Batch
    from kepipe.models.generation import Prompt
    from kepipe.models.transformer import Transformer


def with_answers(batch: Batch, target_BU: Ints, lengths_B: Ints, answers: AnswerFormat) -> Batch:
    """Each answer follows its text; labels start at the text's last token."""
    from kepipe.objectives.losses import tensor

    joined, places_N = join(batch, target_BU, lengths_B, answers.tokenizer.pad)
    return replace(joined, label_positions=tensor(places_N - 1))


def prompt(_model: Transformer, batch: Batch, _answers: AnswerFormat) -> Prompt:
    """The text, which is continued."""
    from kepipe.models.generation import Prompt

    return Prompt(*_texts_of(batch))


def _texts_of(batch: Batch) -> tuple[Tensor, Tensor]:
    """Tokens and documents [B, T] of the batch without the answers after the texts."""
    import torch

    if batch.label_positions is None:
        return batch.tokens, batch.documents
    row_N, place_N = (
        batch.label_positions // batch.tokens.shape[1],
        batch.label_positions % batch.tokens.shape[1],
    )
    last_B = torch.full_like(batch.tokens[:, 0], batch.tokens.shape[1])
    last_B.scatter_reduce_(0, row_N, place_N, "amin")
    longest = int(last_B.max()) + 1
    there_BT = torch.arange(longest, device=last_B.device) <= last_B[:, None]
    return batch.tokens[:, :longest].masked_fill(~there_BT, 0), there_BT.to(batch.documents.dtype)


WRITER = Writer(with_answers, prompt, lambda text, answer: text + answer + 1)
