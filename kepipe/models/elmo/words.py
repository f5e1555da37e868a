"""From tokens to words: which tokens make up a word, and each different word's characters once."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from kepipe.models.elmo.spelling import BEGIN_WORD, END_WORD, FILL, Spelling
from kepipe.nn.gather import to_device


class Words(NamedTuple):
    """The words of rows, in W columns. `characters`: int [U, C], of the distinct words; `rows`: int [B, W], each word's
    row among them; `is_word`: bool [B, W], false on padding; `starts_document`: bool [B, W], the first word of a
    document other than the row's first; `of_token`: int [B, T], the word of each token. `unpadded`: whether all B·W
    words exist; `one_document`: whether no row has several documents. These two need no synchronisation with a
    device."""

    characters: Tensor
    rows: Tensor
    is_word: Tensor
    starts_document: Tensor
    of_token: Tensor
    unpadded: bool
    one_document: bool

    def to(self, device: torch.device) -> Words:
        """The same on a device."""
        return self._replace(
            characters=to_device(self.characters, device),
            rows=to_device(self.rows, device),
            is_word=to_device(self.is_word, device),
            starts_document=to_device(self.starts_document, device),
            of_token=to_device(self.of_token, device),
        )


class WordTable:
    """The characters of a vocabulary, as constants, not weights. They stay on the CPU, where batches are made: on a
    device, finding out how many words there are would wait for it."""

    def __init__(self, spelling: Spelling) -> None:
        self.opens = spelling.opens
        self.characters = torch.from_numpy(spelling.characters).short()
        self.bytes = torch.from_numpy(spelling.bytes).short()
        self.spells = torch.from_numpy(spelling.spells)

    def __call__(self, tokens_BT: Tensor, documents_BT: Tensor) -> Words:
        """The words of right-padded rows (`documents_BT` is 0 on padding), on the CPU."""
        tokens_BT, documents_BT = tokens_BT.cpu(), documents_BT.cpu()
        is_word_BT = documents_BT > 0
        spells_BT = self.spells[tokens_BT] & is_word_BT
        continues_BT = spells_BT & (tokens_BT != self.opens)
        continues_BT[:, 1:] &= spells_BT[:, :-1]
        continues_BT[:, 0] = False
        begins_BT = is_word_BT & ~continues_BT
        of_token_BT = begins_BT.long().cumsum(1).sub(1).clamp(min=0)
        rows, places = begins_BT.nonzero(as_tuple=True)
        counts_B = begins_BT.sum(1)
        width = int(counts_B.max())
        is_word_BW = torch.arange(width) < counts_B[:, None]

        spelled_N = spells_BT[rows, places]
        known, index_K = torch.unique(tokens_BT[rows, places][~spelled_N], return_inverse=True)
        table_VC = self.characters
        spelled_SC = self._spell(tokens_BT, spells_BT, begins_BT)
        index_N = torch.empty_like(rows)
        index_N[~spelled_N] = index_K
        index_N[spelled_N] = len(known) + torch.arange(len(spelled_SC))
        index_BW = torch.zeros(is_word_BW.shape, dtype=torch.long)
        index_BW[is_word_BW] = index_N

        starts_document_BT = torch.zeros_like(is_word_BT)
        starts_document_BT[:, 1:] = (documents_BT[:, 1:] != documents_BT[:, :-1]) & is_word_BT[:, 1:]
        starts_document_BW = torch.zeros_like(is_word_BW)
        starts_document_BW[is_word_BW] = starts_document_BT[rows, places]
        characters_UC = torch.cat([table_VC[known].long(), spelled_SC])
        unpadded, one_document = bool(is_word_BW.all()), not bool(starts_document_BW.any())
        return Words(
            characters_UC, index_BW, is_word_BW, starts_document_BW, of_token_BT, unpadded, one_document
        )

    def _spell(self, tokens_BT: Tensor, spells_BT: Tensor, begins_BT: Tensor) -> Tensor:
        """The characters of the S spelled words, in order: int [S, C]."""
        longest = self.characters.shape[1]
        spelled_T = tokens_BT[spells_BT]  # the tokens of all spelled words, concatenated
        word_T = begins_BT[spells_BT].long().cumsum(0).sub(1)
        words = int(word_T[-1]) + 1 if len(word_T) else 0
        byte_T = self.bytes[spelled_T].long()
        is_byte_T = byte_T >= 0
        before_T = is_byte_T.long().cumsum(0) - is_byte_T.long()
        firsts_S = torch.full((words,), len(word_T)).scatter_reduce(0, word_T, before_T, "amin")
        place_T = before_T - firsts_S[word_T]
        kept_T = is_byte_T & (place_T < longest - 2)
        characters_SC = torch.full((words, longest), FILL)
        characters_SC[:, 0] = BEGIN_WORD
        characters_SC[word_T[kept_T], 1 + place_T[kept_T]] = byte_T[kept_T] + 1
        sizes_S = torch.zeros(words, dtype=torch.long).index_add(
            0, word_T[kept_T], torch.ones_like(word_T[kept_T])
        )
        characters_SC[torch.arange(words), 1 + sizes_S] = END_WORD
        return characters_SC
