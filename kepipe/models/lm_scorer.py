"""Scoring and greedy generation with a transformer, prompted in the style it was trained in.

GPT continues the text, as a prefix LM after reading it in both directions; BART reconstructs a text whose rest is one
mask; T5 generates what a sentinel replaces; MASS generates masked places from the token before them; UniLM, an encoder,
fills masks after the text, one after the other. A model fine-tuned from source to target answers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from kepipe.arrays import Floats, Ints
from kepipe.models.families import FAMILIES
from kepipe.models.folder import PROVENANCE
from kepipe.models.generation import Prompt, PromptTree, generate
from kepipe.models.masked_writing import masked_prompt
from kepipe.models.padding import pad_rows
from kepipe.models.prompt_styles import PROMPT_STYLES, PromptStyle
from kg.regular_files import read_json

if TYPE_CHECKING:
    from kepipe.models.config import TransformerConfig
    from kepipe.models.transformer import Transformer
    from kepipe.tokenization.tokenizer import Tokenizer


def writes(model: Transformer) -> bool:
    """Whether the model generates text, that is, has a decoder."""
    return model.decoder is not None


def prompt_style_of(config: TransformerConfig, folder: Path | None = None) -> PromptStyle:
    """The prompt style of a model: the one recorded in its folder by training, else its family's.

    Raises ValueError for a model without a decoder that was not trained to generate.
    """
    trained = _trained_style(folder)
    if not config.decoder_layers:
        if trained is None or not PROMPT_STYLES[trained].encoder_alone:
            raise ValueError(f"{config.family}: this model fills masks and does not generate")
        return trained
    family = FAMILIES.get(config.family)
    style = trained or (None if family is None else family.prompt_style) or "answer"
    fits = config.encoder_layers > 0 or PROMPT_STYLES[style].decoder_alone
    return style if fits else "append"


def _trained_style(folder: Path | None) -> PromptStyle | None:
    """The prompt style that training recorded in a folder; None if there is none."""
    file = None if folder is None else folder / PROVENANCE
    if file is None or not file.is_file():
        return None
    style: PromptStyle | None = read_json(file).get("prompt_style")
    return style


@dataclass(frozen=True)
class LMScorer:
    """A `TextGenerator` of a transformer with a decoder, or of an encoder that writes at masks."""

    model: Transformer
    tokenizer: Tokenizer
    prompt_style: PromptStyle

    @property
    def num_parameters(self) -> int:
        """See `CountsParameters`."""
        return sum(weight.numel() for weight in self.model.parameters())

    def prompt(self, prompts: Sequence[Ints | PromptTree], room: int) -> Prompt:
        """The model's input for continuing each of the texts (int [T] without special tokens).

        `room`: number of tokens to generate, since MASS needs a mask for each. Only decoder-only models read trees.
        """
        kind, roles = self.prompt_style, self.tokenizer
        device = str(next(self.model.parameters()).device)
        texts = [prompt.tokens if isinstance(prompt, PromptTree) else prompt for prompt in prompts]
        if PROMPT_STYLES[kind].decoder_alone:
            begun = [text if len(text) else np.array([roles.sep]) for text in texts]
            plain = Prompt(*_rows(begun, roles.pad, device), both_ways=kind == "prefix")
            return _as_trees(plain, prompts)
        if any(isinstance(prompt, PromptTree) for prompt in prompts):
            raise ValueError("only a decoder-only model (gpt2) continues a tree; this model has an encoder")
        sources = [self._source(text, room) for text in texts]
        source, source_documents = _rows(sources, roles.pad, device)
        if PROMPT_STYLES[kind].encoder_alone:
            return masked_prompt(self.model, source, source_documents, roles.mask)
        if kind == "fragment":
            before = [np.concatenate([[roles.cls], text])[-1:] for text in texts]
            first = torch.tensor([len(text) + 1 for text in texts], device=device)
            return Prompt(_rows(before, roles.pad, device)[0], None, source, source_documents, first)
        begun = [np.array(self._begin(text), np.int64) for text in texts]
        tokens, documents = _rows(begun, roles.pad, device)
        return Prompt(tokens, documents, source, source_documents)

    def _source(self, text: Ints, room: int) -> Ints:
        """The encoder's input."""
        roles = self.tokenizer
        if self.prompt_style == "sentinel":
            return np.array([*text, roles.sentinels[0], roles.sep], np.int64)
        if not self.model.config.begins_with_cls:
            return np.array([*text, roles.sep], np.int64)
        hidden = {"infill": 1, "fragment": room}.get(self.prompt_style, 0)
        return np.array([roles.cls, *text, *[roles.mask] * hidden, roles.sep], np.int64)

    def _begin(self, text: Ints) -> list[int]:
        """The beginning of the decoder's input."""
        start = self.model.config.start
        begun = [self.tokenizer.sep if start is None else start]
        if self.prompt_style == "sentinel":
            return [*begun, int(self.tokenizer.sentinels[0])]
        if self.prompt_style == "infill":
            return [*begun, self.tokenizer.cls, *text.tolist()]
        return begun

    @torch.inference_mode()
    def log_likelihoods(
        self, prompts: Sequence[Ints | PromptTree], rows: Sequence[int], targets: Sequence[Ints]
    ) -> Floats:
        """See `LanguageModel.log_likelihoods`. In fp32.

        A prompt's keys, values and encoder states are computed once for all its targets.
        """
        device = next(self.model.parameters()).device
        following_NU, there_NU = pad_rows(targets, self.tokenizer.pad, device)
        prompt = self.prompt(prompts, following_NU.shape[1])
        state = prompt.begin(self.model.eval(), following_NU.shape[1])
        state.select(torch.tensor(rows, device=device))
        found_NU = state.log_likelihoods(following_NU)
        likelihoods_NU: Floats = (found_NU * there_NU).cpu().double().numpy()
        return likelihoods_NU

    @torch.inference_mode()
    def generate(self, prompts: Sequence[Ints | PromptTree], *, limit: int) -> list[Ints]:
        """See `TextGenerator.generate`."""
        end = self.tokenizer.sep
        rows_BN = generate(self.model.eval(), self.prompt(prompts, limit), limit=limit, end=end)
        ended_BN = (rows_BN == end).cumsum(1) > 0
        return [row_N[~ended_N].cpu().numpy() for row_N, ended_N in zip(rows_BN, ended_BN, strict=True)]


def _as_trees(plain: Prompt, prompts: Sequence[Ints | PromptTree]) -> Prompt:
    """The prompt with the descriptors of trees; prompts that are not trees are all trunk."""
    trees = [prompt if isinstance(prompt, PromptTree) else None for prompt in prompts]
    tokens_BT = plain.tokens

    def column(name: str, otherwise_BT: Tensor) -> Tensor | None:
        found = [None if tree is None else getattr(tree, name) for tree in trees]
        if all(values is None for values in found):
            return None
        column_BT = otherwise_BT.expand(tokens_BT.shape).clone()
        for row, values in enumerate(found):
            if values is not None:
                column_BT[row, : len(values)] = torch.from_numpy(values).to(column_BT.device)
        return column_BT

    trunk_BT = torch.zeros_like(tokens_BT)
    return replace(
        plain,
        positions=column("positions", torch.arange(tokens_BT.shape[1], device=tokens_BT.device)),
        branch=column("branch", trunk_BT),
        mention=column("mention", trunk_BT),
    )


def _rows(rows: Sequence[Ints], pad: int, device: str | torch.device) -> tuple[Tensor, Tensor | None]:
    """As `pad_rows`; `documents` is None if no row is padded."""
    tokens_BT, documents_BT = pad_rows(rows, pad, device)
    return tokens_BT, None if bool(documents_BT.all()) else documents_BT
