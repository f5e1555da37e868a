"""An encoder reads the text, and the decoder writes the answer: BART, MASS, T5."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from kepipe.arrays import Ints
from kepipe.finetuning.output import AnswerFormat
from kepipe.finetuning.writers.base import Writer

if TYPE_CHECKING:
    from kepipe.data.batch import Batch
    from kepipe.models.generation import Prompt
    from kepipe.models.transformer import Transformer


def with_answers(batch: Batch, target_BU: Ints, lengths_B: Ints, answers: AnswerFormat) -> Batch:
    """Teacher forcing: the decoder reads the start token and the answer."""
    from kepipe.objectives.seq2seq_lm import teacher_forced

    source_BS, source_B = batch.tokens.numpy(), batch.documents.numpy().sum(1)
    forced = teacher_forced(
        source_BS, source_B, target_BU, lengths_B, start=answers.start, pad=answers.tokenizer.pad
    )
    names = ("decoder_tokens", "decoder_documents", "label_positions", "labels")
    return replace(batch, **{name: getattr(forced, name) for name in names})


def prompt(model: Transformer, batch: Batch, _answers: AnswerFormat) -> Prompt:
    """The start token, after the encoder has read the text."""
    from kepipe.models.generation import prompt_for

    return prompt_for(model, batch.tokens, batch.documents)


WRITER = Writer(with_answers, prompt, lambda _text, answer: answer + 1)
