"""From tokens to words: the tokens of each word, and the characters of each distinct word."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from kepipe.models.elmo.spelling import BEGIN_WORD, END_WORD, FILL, Spelling


class Words(NamedTuple):
    """The words of rows, in W columns. `characters`: int [U, C], of the distinct words; `rows`: int [B, W], each word's
    row among them; `there`: bool [B, W], false on padding; `fresh`: bool [B, W], the first word of a document other
    than the row's first; `of_token`: int [B, T], the word of each token."""

    characters: Tensor
    rows: Tensor
    there: Tensor
    fresh: Tensor
    of_token: Tensor


class WordTable(nn.Module):
    """The characters of a vocabulary, as constant buffers, not weights."""

    def __init__(self, spelling: Spelling) -> None:
        super().__init__()
        self.opens = spelling.opens
        self.register_buffer("characters", torch.from_numpy(spelling.characters).short(), persistent=False)
        self.register_buffer("bytes", torch.from_numpy(spelling.bytes).short(), persistent=False)
        self.register_buffer("spells", torch.from_numpy(spelling.spells), persistent=False)

    def forward(self, tokens_BT: Tensor, documents_BT: Tensor) -> Words:
        """The words of right-padded rows (`documents_BT` is 0 on padding)."""
        there_BT = documents_BT > 0
        spells_BT = self.get_buffer("spells")[tokens_BT] & there_BT
        continues_BT = spells_BT & (tokens_BT != self.opens)
        continues_BT[:, 1:] &= spells_BT[:, :-1]
        continues_BT[:, 0] = False
        begins_BT = there_BT & ~continues_BT
        of_token_BT = begins_BT.long().cumsum(1).sub(1).clamp(min=0)
        rows, places = begins_BT.nonzero(as_tuple=True)
        counts_B = begins_BT.sum(1)
        width = int(counts_B.max())
        there_BW = torch.arange(width, device=tokens_BT.device) < counts_B[:, None]

        spelled_N = spells_BT[rows, places]
        known, index_K = torch.unique(tokens_BT[rows, places][~spelled_N], return_inverse=True)
        table_VC = self.get_buffer("characters")
        spelled_SC = self._spell(tokens_BT, spells_BT, begins_BT)
        index_N = torch.empty_like(rows)
        index_N[~spelled_N] = index_K
        index_N[spelled_N] = len(known) + torch.arange(len(spelled_SC), device=rows.device)
        index_BW = torch.zeros(there_BW.shape, dtype=torch.long, device=rows.device)
        index_BW[there_BW] = index_N

        fresh_BT = torch.zeros_like(there_BT)
        fresh_BT[:, 1:] = (documents_BT[:, 1:] != documents_BT[:, :-1]) & there_BT[:, 1:]
        fresh_BW = torch.zeros_like(there_BW)
        fresh_BW[there_BW] = fresh_BT[rows, places]
        return Words(
            torch.cat([table_VC[known].long(), spelled_SC]), index_BW, there_BW, fresh_BW, of_token_BT
        )

    def _spell(self, tokens_BT: Tensor, spells_BT: Tensor, begins_BT: Tensor) -> Tensor:
        """The characters of the S spelled words, in order: int [S, C]."""
        longest = self.get_buffer("characters").shape[1]
        spelled_T = tokens_BT[spells_BT]  # the tokens of all spelled words, concatenated
        word_T = begins_BT[spells_BT].long().cumsum(0).sub(1)
        words = int(word_T[-1]) + 1 if len(word_T) else 0
        byte_T = self.get_buffer("bytes")[spelled_T].long()
        is_byte_T = byte_T >= 0
        before_T = is_byte_T.long().cumsum(0) - is_byte_T.long()
        firsts_S = torch.full((words,), len(word_T), device=word_T.device).scatter_reduce(
            0, word_T, before_T, "amin"
        )
        place_T = before_T - firsts_S[word_T]
        kept_T = is_byte_T & (place_T < longest - 2)
        characters_SC = torch.full((words, longest), FILL, device=word_T.device)
        characters_SC[:, 0] = BEGIN_WORD
        characters_SC[word_T[kept_T], 1 + place_T[kept_T]] = byte_T[kept_T] + 1
        sizes_S = torch.zeros(words, dtype=torch.long, device=word_T.device).index_add(
            0, word_T[kept_T], torch.ones_like(word_T[kept_T])
        )
        characters_SC[torch.arange(words, device=word_T.device), 1 + sizes_S] = END_WORD
        return characters_SC
