"""Text as a task's output: the model writes it, each token from those before it.

An encoder-decoder (BART, MASS, T5) reads the text and its decoder writes. A decoder (GPT) reads the text, and goes on:
what it learns are the tokens after it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from kepipe.arrays import Ints, pad
from kepipe.finetuning.examples import Example
from kepipe.finetuning.output import AnswerFormat, LossSettings
from kepipe.finetuning.rows import Row
from kepipe.finetuning.splits import Splits

if TYPE_CHECKING:
    from torch import Tensor, nn

    from kepipe.data.batch import Batch
    from kepipe.finetuning.task_model import TaskModel
    from kepipe.models.protocols import EncoderConfig, TrainableEncoder
    from kepipe.models.transformer import Transformer

WRITERS = {"encoder-decoder": "bart, t5", "decoder": "gpt2"}
"""Stacks of the models that write, and families that have them."""


KNOWLEDGE = (
    "text-to-text reads no entities and no trees: of knowledge it takes what is written as plain text, without "
    "positions or visibility of its own"
)
_NOT_READ = ("entities", "entity_vectors", "positions", "branch")
"""What a batch must not have: a model that writes is given tokens alone."""


def no_room(config: EncoderConfig, length: int, max_new_tokens: int) -> str:
    """What the model's positions have no room for; empty where they have it for the longest text and answer."""
    longest = (length if config.causal else 0) + max_new_tokens + 1
    if not 0 < config.positions < longest:
        return ""
    text = f"`length: {length}` and " if config.causal else ""
    return (
        f"{text}`max_new_tokens: {max_new_tokens}` take {longest} positions; the model has {config.positions}"
    )


def cannot_write(config: EncoderConfig) -> str:
    """Why a model of this config cannot answer with a text; empty where it can."""
    from kepipe.models.config import TransformerConfig

    writes = isinstance(config, TransformerConfig) and config.stacks in WRITERS
    return "" if writes else f"this model writes no answer to a text; {', '.join(WRITERS.values())} do"


@dataclass(frozen=True)
class TextCriterion:
    """The mean over the tokens of the true answers; `label_smoothing`: the share of each label that goes to all tokens
    alike (Szegedy et al. 2016, §7)."""

    label_smoothing: float = 0.0
    terms: tuple[str, ...] = ("lm",)
    metrics: tuple[str, ...] = ()

    def counts(self, batch: Batch) -> Mapping[str, int]:
        """Tokens of the answers."""
        return {"lm": 0 if batch.labels is None else len(batch.labels)}

    def __call__(self, model: TaskModel[Transformer], batch: Batch) -> dict[str, Tensor]:
        """See `Criterion`."""
        import torch.nn.functional as F

        from kepipe.objectives.losses import TokenLoss

        if not self.label_smoothing:
            return TokenLoss("lm")(model.encoder, batch)
        assert batch.labels is not None
        logits_NV = model.encoder.vocabulary(model.encoder(batch, batch.label_positions)).float()
        return {"lm": F.cross_entropy(logits_NV, batch.labels, label_smoothing=self.label_smoothing)}


@dataclass(frozen=True)
class TextOutput:
    """A `TaskOutput`; an answer is a string. `AnswerFormat.generation` has its settings."""

    def labels(self, splits: Splits) -> tuple[str, ...]:  # noqa: ARG002
        """None: answers are free text."""
        return ()

    def encode(self, rows: Sequence[Row], examples: Sequence[Example], answers: AnswerFormat) -> list[Row]:
        """The tokens of each true answer with the end token, cut to `max_new_tokens`; none where it is not known."""
        assert answers.generation is not None
        most = answers.generation.max_new_tokens - 1
        encoded = answers.tokenizer.encode(
            ["" if example.labels is None else example.labels[0] for example in examples]
        )
        texts = np.split(encoded.tokens, np.cumsum(encoded.lengths)[:-1])
        return [
            replace(
                row, labels=None if example.labels is None else (*text[:most].tolist(), answers.tokenizer.sep)
            )
            for row, text, example in zip(rows, texts, examples, strict=True)
        ]

    def collate(self, batch: Batch, rows: Sequence[Row], answers: AnswerFormat) -> Batch:
        """The batch with the true answers for the decoder to learn, where the rows have them. Raises ValueError for one
        with entities or trees."""
        if any(getattr(batch, name) is not None for name in _NOT_READ):
            raise ValueError(KNOWLEDGE)
        given = [row.labels for row in rows if row.labels is not None]
        if len(given) < len(rows):
            return batch
        lengths_B = np.array([len(labels) for labels in given])
        target_BU = pad(np.concatenate([*map(np.array, given)]), lengths_B, answers.tokenizer.pad)
        return (_after if answers.causal else _beside)(batch, target_BU, lengths_B, answers)

    def head(
        self,
        model: TrainableEncoder,
        answers: AnswerFormat,  # noqa: ARG002
        *,
        dropout: float = 0.0,  # noqa: ARG002
        seed: int = 0,  # noqa: ARG002
    ) -> nn.Module:
        """None of its own. Raises ValueError for a model that does not write."""
        from torch import nn

        if reason := cannot_write(model.config):
            raise ValueError(reason)
        return nn.Identity()

    def criterion(self, answers: AnswerFormat, loss: LossSettings) -> TextCriterion:  # noqa: ARG002
        """The loss of the answers' tokens."""
        return TextCriterion(loss.label_smoothing)

    def merge(
        self,
        model: TaskModel[Transformer],  # noqa: ARG002
        parts: Sequence[str],
        rows: Sequence[Row],  # noqa: ARG002
        answers: AnswerFormat,  # noqa: ARG002
    ) -> str:
        """That of the one row there is."""
        return parts[0]

    def answers(self, model: TaskModel[Transformer], batch: Batch, answers: AnswerFormat) -> list[str]:
        """The best of the beam for each row, without the end token."""
        from kepipe.models.beam_search import search
        from kepipe.models.generation import Prompt, generate, prompt_for

        settings, end = answers.generation, answers.tokenizer.sep
        assert settings is not None
        if answers.causal:
            prompt = Prompt(*_texts_of(batch))
        else:
            prompt = prompt_for(model.encoder, batch.tokens, batch.documents)
        repeats = settings.no_repeat_ngram_size
        if settings.num_beams == 1:
            written = generate(
                model.encoder, prompt, limit=settings.max_new_tokens, end=end, no_repeat_ngram_size=repeats
            )
        else:
            found, _ = search(
                model.encoder,
                prompt,
                limit=settings.max_new_tokens,
                beams=settings.num_beams,
                end=end,
                length_penalty=settings.length_penalty,
                no_repeat_ngram_size=repeats,
            )
            written = found[:, 0]
        return [answers.tokenizer.decode(_until(row, end)).strip() for row in written.tolist()]


def _beside(batch: Batch, target_BU: Ints, lengths_B: Ints, answers: AnswerFormat) -> Batch:
    """An encoder-decoder's batch: the decoder reads the start token and the answer, and learns the answer."""
    from kepipe.objectives.seq2seq_lm import teacher_forced

    source_BS, source_B = batch.tokens.numpy(), batch.documents.numpy().sum(1)
    forced = teacher_forced(
        source_BS, source_B, target_BU, lengths_B, start=answers.start, pad=answers.tokenizer.pad
    )
    names = ("decoder_tokens", "decoder_documents", "label_positions", "labels")
    return replace(batch, **{name: getattr(forced, name) for name in names})


def _after(batch: Batch, target_BU: Ints, lengths_B: Ints, answers: AnswerFormat) -> Batch:
    """A decoder's batch: each answer follows its text, and is learned from the text's last token on."""
    from kepipe.objectives.losses import tensor

    tokens_BT, source_B = batch.tokens.numpy(), batch.documents.numpy().sum(1)
    rows, longest = len(tokens_BT), int((source_B + lengths_B).max())
    joined_BT = np.full((rows, longest), answers.tokenizer.pad)
    kept = min(longest, tokens_BT.shape[1])
    joined_BT[:, :kept] = tokens_BT[:, :kept]
    there_BU = np.arange(target_BU.shape[1]) < lengths_B[:, None]
    row_N, place_N = np.nonzero(there_BU)
    at_N = source_B[row_N] + place_N
    joined_BT[row_N, at_N] = target_BU[there_BU]
    return replace(
        batch,
        tokens=tensor(joined_BT),
        documents=tensor(np.arange(longest) < (source_B + lengths_B)[:, None]),
        segments=tensor(np.zeros_like(joined_BT)),
        label_positions=tensor(row_N * longest + at_N - 1),
        labels=tensor(target_BU[there_BU]),
    )


def _texts_of(batch: Batch) -> tuple[Tensor, Tensor]:
    """Tokens and documents [B, T] of a decoder's batch without the answers that follow the texts."""
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


def _until(tokens: Sequence[int], end: int) -> list[int]:
    return list(tokens[: tokens.index(end)] if end in tokens else tokens)
