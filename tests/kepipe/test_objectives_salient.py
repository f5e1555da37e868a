"""Rows that mark what is to be predicted: each objective (`kepipe/objectives/`) hides that, and nothing else."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from kepipe.data.batch import TokenRows
from tests.support.rows import CLS, MASK, PAD, SENTINELS, SEP, collate


@pytest.fixture
def spans() -> TokenRows:
    """Two rows, of six and of four words, with a marked span of two words and of one."""
    tokens = np.array([[CLS, 30, 31, 32, 33, 34, 35, SEP], [CLS, 40, 41, 42, 43, SEP, PAD, PAD]])
    text = tokens >= 25
    salient = np.isin(tokens, [32, 33, 43])
    word = np.where(text, np.arange(8) - 1, -1)
    return TokenRows(
        tokens=tokens,
        segments=np.zeros_like(tokens),
        documents=(tokens != PAD).astype(np.int64),
        special=~text,
        units={"word": word},
        entities=np.full_like(tokens, -1),
        sentences=np.where(text, 0, -1),
        salient=salient,
    )


def test_bart_predicts_the_text_with_one_mask_for_each_span(spans: TokenRows) -> None:
    batch = collate("denoising", spans)
    assert batch.tokens.tolist() == [[CLS, 30, 31, MASK, 34, 35, SEP], [CLS, 40, 41, 42, MASK, SEP, PAD]]
    assert batch.labels.tolist() == [CLS, *range(30, 36), SEP, CLS, 40, 41, 42, 43, SEP]


def test_t5_predicts_the_span_after_its_sentinel(spans: TokenRows) -> None:
    first, second = SENTINELS[:2].tolist()
    batch = collate("span-corruption", replace(spans, tokens=np.where(spans.tokens == CLS, 29, spans.tokens)))
    assert batch.tokens.tolist() == [[29, 30, 31, first, 34, 35, SEP], [29, 40, 41, 42, first, SEP, PAD]]
    assert batch.labels.tolist() == [first, 32, 33, second, SEP, first, 43, second, SEP]


def test_mass_predicts_the_span_in_place(spans: TokenRows) -> None:
    batch = collate("mass", spans)
    assert batch.labels.tolist() == [32, 33, 43]
    assert batch.decoder_tokens.tolist() == [[31, 32], [42, PAD]]
    assert batch.decoder_positions[0].tolist() == [3, 4]


@pytest.mark.parametrize("name", ["mlm", "unilm"])
def test_encoder_predicts_the_span_behind_masks(spans: TokenRows, name: str) -> None:
    batch = collate(name, spans)
    assert spans.salient is not None
    assert batch.tokens.tolist() == np.where(spans.salient, MASK, spans.tokens).tolist()
    assert batch.labels.tolist() == [32, 33, 43]


@pytest.mark.parametrize(
    ("name", "lengths"), [("denoising", [8, 6]), ("span-corruption", [5, 4]), ("mass", [2, 1])]
)
def test_documents_are_zero_exactly_at_padding(spans: TokenRows, name: str, lengths: list[int]) -> None:
    batch = collate(name, spans)
    assert batch.documents.tolist() == (batch.tokens != PAD).tolist()
    assert batch.decoder_documents.sum(1).tolist() == lengths
