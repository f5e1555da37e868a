"""ELMo as a language model: its forward direction, from the left to the right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from kepipe.arrays import Bools, Floats, Ints, pad
from kepipe.device import exact
from kepipe.models.elmo.lstm import States
from kepipe.models.elmo.model import Elmo, load
from kepipe.models.elmo.softmax import END, FIRST_WORD, LETTERS
from kepipe.models.elmo.words import Words
from kepipe.models.next_token import continue_texts, greedy
from kepipe.models.padding import pad_rows
from kepipe.nn.gather import pick, to_device
from kepipe.tokenization.tokenizer import Tokenizer, load_tokenizer


@dataclass(frozen=True)
class ElmoLanguageModel:
    """A `NextTokenModel` of an `OwnVocabulary`. A text begins with the beginning of a text.

    A word that is spelled out is as likely as the unknown word, times its bytes and its end, each by how often it
    stands in such words: so the probabilities of all that can be spelled add up to that of the unknown word.
    """

    model: Elmo
    tokenizer: Tokenizer

    @torch.inference_mode()
    def log_likelihoods(
        self, prompts: Sequence[Ints], rows: Sequence[int], targets: Sequence[Ints]
    ) -> Floats:
        """See `LanguageModel`. A word's ln p stands at its first token, with that of its end where it is spelled out;
        that of its bytes at these."""
        begun = [np.concatenate([[self.tokenizer.cls], prompt]).astype(np.int64) for prompt in prompts]
        # a prompt's last word may go on in what follows, so it is read there
        last = [int(np.flatnonzero(~self._continues(text))[-1]) for text in begun]
        first = [text[:cut] for text, cut in zip(begun, last, strict=True)]
        states = self._states(first)
        texts = [
            np.concatenate([begun[row][last[row] :], target])
            for row, target in zip(rows, targets, strict=True)
        ]
        own = torch.tensor(list(rows), device=self._device)
        before = [States(*(value[:, own] for value in state)) for state in states]
        found_BT = self._next_words(texts, before)
        skipped = [len(text) - len(target) for text, target in zip(texts, targets, strict=True)]
        scores = [
            found_BT[number, skip : len(text)]
            for number, (text, skip) in enumerate(zip(texts, skipped, strict=True))
        ]
        return pad(np.concatenate(scores), np.array([len(target) for target in targets]), 0)

    @torch.inference_mode()
    def log_probabilities(self, texts: Sequence[Ints]) -> Floats:
        """See `NextTokenModel`. It writes words that it knows."""
        begun = [np.concatenate([[self.tokenizer.cls], text]).astype(np.int64) for text in texts]
        words = self._words(begun)
        hidden_BWP, _ = self.model.read_forward(words)
        rows = torch.arange(len(texts), device=self._device)
        last_BC = (
            self.model.log_probabilities(hidden_BWP[rows, words.is_word.sum(1) - 1]).cpu().double().numpy()
        )
        found_BV: Floats = np.full((len(texts), self.tokenizer.vocab_size), -np.inf)
        tokens_C = self.model.constants.classes.tokens
        found_BV[:, tokens_C[FIRST_WORD:]] = last_BC[:, FIRST_WORD:]
        found_BV[:, tokens_C[END]] = last_BC[:, END]
        return found_BV

    def unknown(self, tokens_T: Ints) -> Bools:
        """See `OwnVocabulary`: the parts of words that are spelled out, and the unknown word."""
        spelling = self.model.constants.spelling
        found: Bools = spelling.spells[tokens_T] | (tokens_T == spelling.unknown)
        return found

    @property
    def end(self) -> int:
        """See `NextTokenModel`."""
        return self.tokenizer.sep

    def generate(self, prompts: Sequence[Ints], *, limit: int) -> list[Ints]:
        """See `TextGenerator`."""
        return continue_texts(self, prompts, limit, greedy)

    def _next_words(self, texts: Sequence[Ints], before: Sequence[States]) -> Floats:
        """ln p of each token but the first of B texts, [B, T]."""
        tokens_BT, documents_BT = self._batch(texts)
        words = self.model.words(tokens_BT, documents_BT)
        hidden_BWP, _ = self.model.read_forward(words.to(self._device), before)
        begins_BT = torch.from_numpy(np.stack([~self._continues(row) for row in tokens_BT.numpy()]))
        begins_BT &= documents_BT > 0
        begins_BT[:, 0] = False
        rows, places = begins_BT.nonzero(as_tuple=True)
        hidden_NP = pick(hidden_BWP, rows * hidden_BWP.shape[1] + words.of_token[rows, places] - 1)
        classes_N = self.model.classes[tokens_BT[rows, places]]
        kind = exact(self._device)
        found_BT = torch.zeros(tokens_BT.shape, dtype=kind)
        for part in torch.split(torch.arange(len(rows)), 1024):
            index_N1 = to_device(classes_N[part, None], self._device)
            chosen = self.model.log_probabilities(hidden_NP[part[0] : part[-1] + 1]).gather(1, index_N1)
            found_BT[rows[part], places[part]] = chosen.squeeze(1).to(kind).cpu()
        spelling = self.model.constants.spelling
        letter_V = torch.from_numpy(np.where(spelling.bytes >= 0, spelling.bytes, LETTERS - 1))
        spells_BT = self.model.words.spells[tokens_BT] & (documents_BT > 0)
        letters_BT = self.model.letters.cpu()[letter_V[tokens_BT]].to(kind) * spells_BT
        return (found_BT + letters_BT).double().numpy()

    def _states(self, texts: Sequence[Ints]) -> list[States]:
        """The states after each text, zeros after an empty one."""
        config, rows = self.model.config, len(texts)
        if not any(map(len, texts)):
            like = self.model.cnn.characters.weight
            sizes = config.projection, config.cell
            return [States(*(like.new_zeros(1, rows, size) for size in sizes)) for _ in range(config.layers)]
        return self.model.read_forward(self._words(texts))[1]

    def _words(self, texts: Sequence[Ints]) -> Words:
        return self.model.words(*self._batch(texts)).to(self._device)

    def _batch(self, texts: Sequence[Ints]) -> tuple[Tensor, Tensor]:
        """Tokens and documents, [B, T], on the CPU."""
        return pad_rows(texts, self.tokenizer.pad, torch.device("cpu"))

    def _continues(self, text_T: Ints) -> Bools:
        found: Bools = self.model.constants.spelling.continues(text_T[None])[0]
        return found

    @property
    def _device(self) -> torch.device:
        return next(self.model.parameters()).device


def load_language_model(folder: Path, device: str = "cpu") -> ElmoLanguageModel:
    """The language model of a folder. Raises ValueError where files are missing or do not fit each other."""
    return ElmoLanguageModel(load(folder, device), load_tokenizer(folder))
