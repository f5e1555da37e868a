"""Scores of a masked language model for the entity cloze: every candidate is scored in every blank of its type.

A candidate of L tokens is scored with L masks in the blank, by the mean log-probability of its tokens, each predicted
at its own mask (independent predictions, normalised by length, as in Jiang et al. 2020, X-FACTR). One forward pass per
case and length scores all candidates of that length.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from kepipe.arrays import Floats, ShardEntities, padded_batches
from kepipe.data.batch import Batch, Mentions
from kepipe.probes.cloze_test import Case, ClozeTest
from kepipe.probes.given_knowledge import with_knowledge
from kepipe.tokenization.tokenizer import Tokenizer

if TYPE_CHECKING:
    from kepipe.knowledge.base import Knowledge
    from kepipe.models.protocols import MaskedLanguageModel


@torch.inference_mode()
def score_candidates(
    model: MaskedLanguageModel,
    tokenizer: Tokenizer,
    test: ClozeTest,
    *,
    knowledge: Knowledge | None = None,
    tokens_per_batch: int = 4096,
    tick: Callable[[int], None] = lambda _: None,
) -> list[Floats]:
    """Scores of the candidates of each case, float [K], in the order of `test.candidates[case.type]`.

    `knowledge`: the model's knowledge, applied to the other mentions of a case's window; None: no knowledge. `tick` is
    called with the number of rows done, `passes(test)` in total.
    """
    scores = [np.full(len(test.candidates[case.type].names), -np.inf) for case in test.cases]
    for type, candidates in test.candidates.items():
        asked = [place for place, case in enumerate(test.cases) if case.type == type]
        asked.sort(key=lambda place: len(test.cases[place].left) + len(test.cases[place].right))
        lengths_K = np.array([len(name) for name in candidates.names])
        for length in np.unique(lengths_K).tolist():
            columns = np.flatnonzero(lengths_K == length)
            names_KL = torch.tensor([candidates.names[column] for column in columns])
            for places in _batches(test.cases, asked, tokens_per_batch):
                cases = [test.cases[place] for place in places]
                batch = blank(cases, length, tokenizer)
                if knowledge is not None:
                    batch = with_knowledge(batch, mentions(test, cases, length), knowledge)
                scores_BK = name_scores(model, batch, names_KL).cpu().double().numpy()
                for place, scores_K in zip(places, scores_BK, strict=True):
                    scores[place][columns] = scores_K
                tick(len(places))
    return scores


def passes(test: ClozeTest) -> int:
    """The number of rows that `score_candidates` sends through the model."""
    lengths = {type: len({len(n) for n in table.names}) for type, table in test.candidates.items()}
    return sum(lengths[case.type] for case in test.cases)


def blank(cases: Sequence[Case], length: int, tokenizer: Tokenizer) -> Batch:
    """Rows `[CLS] left [MASK]·length right [SEP]`, padded; `label_positions` are the masks, row by row."""
    sizes = [len(case.left) + len(case.right) + length + 2 for case in cases]
    tokens_BT = np.full((len(cases), max(sizes)), tokenizer.pad, np.int64)
    starts = np.array([1 + len(case.left) for case in cases])
    masks = np.full(length, tokenizer.mask)
    for row_T, case, size in zip(tokens_BT, cases, sizes, strict=True):
        row_T[:size] = np.concatenate([[tokenizer.cls], case.left, masks, case.right, [tokenizer.sep]])
    inside_BT = np.arange(tokens_BT.shape[1]) < np.array(sizes)[:, None]
    selected_BL = np.arange(len(cases))[:, None] * tokens_BT.shape[1] + starts[:, None] + np.arange(length)
    return Batch(
        tokens=torch.from_numpy(tokens_BT),
        documents=torch.from_numpy(inside_BT.astype(np.int64)),
        segments=torch.zeros(tokens_BT.shape, dtype=torch.long),
        label_positions=torch.from_numpy(selected_BL.ravel()),
    )


def mentions(test: ClozeTest, cases: Sequence[Case], length: int) -> Mentions:
    """The mentions in the cases' windows, positioned in the batch of `blank` for the same cases and length.

    Only the first token of a mention is known.
    """
    rows = np.repeat(np.arange(len(cases)), [len(case.links) for case in cases])
    places = np.array([link.place for case in cases for link in case.links], np.int64)
    sides = np.array([len(case.left) for case in cases], np.int64)[rows]
    first = 1 + places + np.where(places >= sides, length, 0)
    numbers = [test.entity_numbers[link.entity] for case in cases for link in case.links]
    return Mentions(rows, first, first + 1, ShardEntities(np.array(numbers, np.int64)), test.entities)


def name_scores(model: MaskedLanguageModel, batch: Batch, names_KL: Tensor) -> Tensor:
    """Mean log-probability of each name at the L masks of each row: float [B, K]."""
    rows, length = len(batch.tokens), names_KL.shape[1]
    logp_BLV = model.masked_logits(batch).log_softmax(-1).view(rows, length, -1)
    at_L, names_KL = torch.arange(length, device=logp_BLV.device), names_KL.to(logp_BLV.device)
    scores_BK: Tensor = logp_BLV[:, at_L, names_KL].mean(-1)
    return scores_BK


def _batches(cases: Sequence[Case], places: Sequence[int], tokens: int) -> Iterator[list[int]]:
    """Consecutive places whose padded rows hold about `tokens` tokens; `places` are sorted by length."""
    widths = [len(cases[place].left) + len(cases[place].right) + 8 for place in places]
    for part in padded_batches(widths, tokens):
        yield list(places[part])
