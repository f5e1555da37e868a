"""An encoder reads the text in both directions and writes the answer at masks after it: UniLM, and BERT in UniLM's way
(Dong et al. 2019, §2.5)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from kepipe.arrays import Bools, Ints
from kepipe.finetuning.output import AnswerFormat
from kepipe.finetuning.writers.base import Writer
from kepipe.finetuning.writers.joining import join

if TYPE_CHECKING:
    from kepipe.data.batch import Batch
    from kepipe.models.generation import Prompt
    from kepipe.models.transformer import Transformer

SHARE = 0.7
"""Share of an answer's tokens that are predicted in a step (Dong et al. 2019, §3.1)."""


def with_answers(batch: Batch, target_BU: Ints, lengths_B: Ints, answers: AnswerFormat) -> Batch:
    """Each answer follows its text, with the visibility and the segments of UniLM's sequence-to-sequence mode: all see
    the text, and an answer's token sees the answer up to itself. Labels are at the answer's own tokens."""
    from kepipe.models.masked_writing import segments_of
    from kepipe.objectives.losses import tensor

    source_B1 = batch.documents.numpy().sum(1, keepdims=True)
    joined, places_N = join(batch, target_BU, lengths_B, answers.tokenizer.pad)
    is_source_BT = np.arange(joined.tokens.shape[1]) < source_B1
    return replace(
        joined,
        visibility="prefix",
        prefix=tensor(is_source_BT),
        segments=tensor(np.where(is_source_BT, *segments_of(answers.segments))),
        label_positions=tensor(places_N),
    )


def corrupt(batch: Batch, answers: AnswerFormat, rng: np.random.Generator) -> Batch:
    """A random `SHARE` of each answer's tokens is predicted: most of them masked, some replaced or kept, as in
    pretraining. The end token may be among them, so that the model learns to end."""
    from kepipe.noise.tokens import draw_replacements, select_tokens
    from kepipe.noise.tokens import replace as replace_tokens
    from kepipe.objectives.losses import tensor

    assert batch.label_positions is not None
    tokens_BT, tokenizer = batch.tokens.numpy(), answers.tokenizer
    is_fixed_BT: Bools = np.ones(tokens_BT.shape, np.bool_)
    is_fixed_BT.flat[batch.label_positions.numpy()] = False
    selected_BT = select_tokens(is_fixed_BT, rng, SHARE)
    replacement_BT = draw_replacements(selected_BT.shape, tokenizer.mask, tokenizer.ordinary, rng)
    return replace(
        batch,
        tokens=tensor(replace_tokens(tokens_BT, selected_BT, replacement_BT)),
        label_positions=tensor(np.flatnonzero(selected_BT)),
        labels=tensor(tokens_BT[selected_BT]),
    )


def prompt(model: Transformer, batch: Batch, answers: AnswerFormat) -> Prompt:
    """The text, after which the next token is predicted at a mask."""
    from kepipe.models.masked_writing import masked_prompt

    tokens_BT, documents_BT = batch.tokens, batch.documents
    if batch.prefix is not None:
        documents_BT = batch.prefix[:, : int(batch.prefix.sum(1).max())]
        tokens_BT = tokens_BT[:, : documents_BT.shape[1]]
    return masked_prompt(model, tokens_BT, documents_BT, answers.tokenizer.mask)


WRITER = Writer(with_answers, prompt, lambda text, answer: text + answer, corrupt, "mask")
