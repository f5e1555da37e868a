"""Inputs and labels of encoder-decoders, by hand: nothing beyond a row's length."""

from __future__ import annotations

import numpy as np

from kepipe.objectives.seq2seq_lm import next_tokens, teacher_forced
from tests.support.rows import rows


def test_decoder_input_is_the_target_shifted_right() -> None:
    source, target = np.array([[11, 12, 13], [21, 99, 99]]), np.array([[31, 32], [41, 99]])
    batch = teacher_forced(source, np.array([3, 1]), target, np.array([2, 1]), start=1, pad=0)
    assert batch.tokens.tolist() == [[11, 12, 13], [21, 0, 0]]
    assert batch.documents is not None
    assert batch.documents.tolist() == [[1, 1, 1], [1, 0, 0]]
    assert batch.decoder_tokens is not None
    assert batch.decoder_tokens.tolist() == [[1, 31], [1, 0]]
    assert batch.decoder_documents is not None
    assert batch.decoder_documents.tolist() == [[1, 1], [1, 0]]
    assert batch.label_positions is not None
    assert batch.label_positions.tolist() == [0, 1, 2]
    assert batch.labels is not None
    assert batch.labels.tolist() == [31, 32, 41]


def test_next_token_is_of_the_same_document() -> None:
    clean = rows(6)
    has_next, following = next_tokens(clean)
    places = [(row, place) for row, place in np.argwhere(has_next).tolist()]
    assert places
    for row in range(len(clean.tokens)):
        for place in range(clean.tokens.shape[1]):
            inside = place + 1 < clean.tokens.shape[1]
            document = clean.documents[row, place]
            expected = inside and document > 0 and clean.documents[row, place + 1] == document
            assert has_next[row, place] == expected
            if expected:
                assert following[row, place] == clean.tokens[row, place + 1]
