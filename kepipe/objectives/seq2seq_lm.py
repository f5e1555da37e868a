"""Labels of models that write left to right: the next token (decoder), teacher forcing (encoder-decoder)."""

from __future__ import annotations

import numpy as np

from kepipe.arrays import Bools, Ints
from kepipe.data.batch import Batch, TokenRows
from kepipe.objectives.losses import tensor


def next_tokens(rows: TokenRows) -> tuple[Bools, Ints]:
    """Places that have a next token in their document, bool [B, T], and that token, int [B, T]."""
    documents, tokens = rows.documents, rows.tokens
    has_next = np.zeros(documents.shape, dtype=np.bool_)
    has_next[:, :-1] = (documents[:, 1:] == documents[:, :-1]) & (documents[:, 1:] > 0)
    return has_next, np.roll(tokens, -1, axis=1)


def teacher_forced(
    source_BS: Ints, source_lengths: Ints, target_BU: Ints, target_lengths: Ints, *, start: int, pad: int
) -> Batch:
    """Teacher forcing: the encoder reads the source; the decoder reads `start` and the target, and predicts the target.

    Rows are padded at the right; `lengths`: int [B], without padding.
    """
    there_BS = np.arange(source_BS.shape[1]) < source_lengths[:, None]
    there_BU = np.arange(target_BU.shape[1]) < target_lengths[:, None]
    before_BU = np.full_like(target_BU, start)
    before_BU[:, 1:] = target_BU[:, :-1]
    return Batch(
        tokens=tensor(np.where(there_BS, source_BS, pad)),
        documents=tensor(there_BS),
        decoder_tokens=tensor(np.where(there_BU, before_BU, pad)),
        decoder_documents=tensor(there_BU),
        label_positions=tensor(np.flatnonzero(there_BU)),
        labels=tensor(target_BU[there_BU]),
    )
