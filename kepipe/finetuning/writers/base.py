"""What a row of the table of writers is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

    from kepipe.arrays import Ints
    from kepipe.data.batch import Batch
    from kepipe.finetuning.output import AnswerFormat
    from kepipe.models.generation import Prompt
    from kepipe.models.prompt_styles import PromptStyle
    from kepipe.models.transformer import Transformer


@dataclass(frozen=True)
class Writer:
    """A row: how models of some stacks learn to write the answers to texts, and write them.

    `with_answers`: (batch of texts, answers with the end token, int [B, U], their lengths, int [B], format) → the batch
    from which they are learned, with labels at all tokens of the answers. `prompt`: a batch with or without answers →
    the input of decoding. `positions`: (tokens of the longest text, of the longest answer) → the positions that the
    model needs. `corrupt`: draws what is predicted in a training step from a batch of `with_answers`; None: all of it.
    `prompt_style`: recorded in the folder of a model that is fine-tuned to write; None: its family's.
    """

    with_answers: Callable[[Batch, Ints, Ints, AnswerFormat], Batch]
    prompt: Callable[[Transformer, Batch, AnswerFormat], Prompt]
    positions: Callable[[int, int], int]
    corrupt: Callable[[Batch, AnswerFormat, np.random.Generator], Batch] | None = None
    prompt_style: PromptStyle | None = None
