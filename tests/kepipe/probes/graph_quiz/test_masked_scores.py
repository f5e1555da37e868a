"""Quiz scores of a masked language model: which tokens are masked, and which rows are scored."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from kepipe.probes.graph_quiz import masked_scores
from kepipe.probes.graph_quiz.masked_scores import distinct_rows, pseudo_log_likelihoods
from kepipe.probes.graph_quiz.statements import encode
from kepipe.tokenization.tokenizer import Tokenizer
from kg.templates import Template
from tests.support.capitals import OfRow


@given(
    names=st.lists(
        st.lists(st.sampled_from(["a", "b", "ax", "axy", "bz", "bzyx"]), min_size=1, max_size=3).map(
            " ".join
        ),
        min_size=1,
        max_size=6,
    ),
    reduction=st.sampled_from(["sum", "mean"]),
)
def test_pseudo_log_likelihood_masks_within_word_left_to_right(
    tokenizer: Tokenizer, names: list[str], reduction: str
) -> None:
    """Against one forward pass per token, reimplemented from Kauf & Ivanova (2023)."""
    template = Template("the capital of [X] is [Y].")
    model = OfRow(tokenizer)
    statements = encode([template.state("c", name) for name in names], tokenizer)
    scores = pseudo_log_likelihoods(model, statements, [0] * len(names), ["c"], reduction=reduction)
    for name, score in zip(names, scores.tolist(), strict=True):
        pieces = [tokenizer.backend.encode(word, add_special_tokens=False).ids for word in name.split()]
        before = [tokenizer.cls, *tokenizer.encode(["the capital of c is"]).tokens.tolist()]
        logps = []
        for number, word in enumerate(pieces):
            for place, token in enumerate(word):
                row = [*before]
                for other, tokens in enumerate(pieces):
                    kept = tokens if other != number else tokens[:place]
                    row += [*kept, *[tokenizer.mask] * (len(tokens) - len(kept))]
                at = len(before) + sum(map(len, pieces[:number])) + place
                row += [tokenizer.id("."), tokenizer.sep]
                logps.append(float(model.logits(row, at).log_softmax(-1)[token]))
        assert score == pytest.approx(sum(logps) if reduction == "sum" else np.mean(logps), rel=1e-5)


def test_options_with_equal_masked_rows_share_a_forward_pass(tokenizer: Tokenizer) -> None:
    template = Template("the capital of [X] is [Y].")
    statements = encode(
        [template.state("c", name) for name in ("a", "b", "ax", "ay", "bz", "a b")], tokenizer
    )
    rows = distinct_rows(statements, [0] * 6, tokenizer)
    assert len(rows) == 5, (
        "■ (a, b); ■■ (ax, ay, bz); a■ (ax, ay, and a b, which reads the same); b■ (bz); ■ b (a b)"
    )
    assert sum(len(row.labels) for row in rows) == 1 + 1 + 3 * 2 + 2


@given(
    names=st.lists(st.text("abcx", min_size=1, max_size=6), min_size=2, max_size=8, unique=True),
    truth=st.integers(0, 7),
    reduction=st.sampled_from(["sum", "mean"]),
)
def test_scores_of_options_that_can_win_are_exact_and_others_are_below_the_true_one(
    tokenizer: Tokenizer, names: list[str], truth: int, reduction: str
) -> None:
    template, truth = Template("the capital of [X] is [Y]."), truth % len(names)
    statements = encode([template.state("c", name) for name in names], tokenizer)
    zeros, truths = [0] * len(names), [truth] * len(names)
    model = OfRow(tokenizer)
    exact_K = pseudo_log_likelihoods(model, statements, zeros, ["c"], reduction=reduction)
    scores_K = pseudo_log_likelihoods(model, statements, zeros, ["c"], truths=truths, reduction=reduction)
    assert scores_K[truth] == pytest.approx(exact_K[truth])
    reach_K = exact_K >= exact_K[truth]
    np.testing.assert_allclose(scores_K[reach_K], exact_K[reach_K])
    assert (scores_K[~reach_K] >= exact_K[~reach_K] - 1e-9).all()
    assert (scores_K[~reach_K] < exact_K[truth]).all()


def test_improbable_options_cost_one_row(tokenizer: Tokenizer) -> None:
    class Sure(OfRow):
        def logits(self, row: list[int], place: int) -> torch.Tensor:
            return 50.0 * torch.nn.functional.one_hot(torch.tensor(tokenizer.id("a")), tokenizer.vocab_size)

    template, model = Template("the capital of [X] is [Y]."), Sure(tokenizer)
    statements = encode([template.state("c", name) for name in ("a", "bxxx", "cyyy", "dzzz")], tokenizer)
    pseudo_log_likelihoods(model, statements, [0] * 4, ["c"], truths=[0] * 4)
    assert model.rows == 2, "■ (a) and ■■■■ (the first token of the other options)"


def test_batches_are_filled_with_rows_of_similar_length(
    tokenizer: Tokenizer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(masked_scores, "TOKENS", 64)
    shapes = []

    class Shaped(OfRow):
        def masked_logits(self, batch) -> torch.Tensor:
            shapes.append(tuple(batch.tokens.shape))
            return super().masked_logits(batch)

    template = Template("the capital of [X] is [Y].")
    names = [first + "x" * more for more in (0, 60, 1, 2) for first in "abcdefg"]
    statements = encode([template.state("c", name) for name in names], tokenizer)
    pseudo_log_likelihoods(
        Shaped(tokenizer), statements, [*range(len(names))], [*map(str, range(len(names)))]
    )
    assert all(rows * width <= 64 for rows, width in shapes if rows > 1)
    assert all(rows == 1 for rows, width in shapes if width > 64)
    assert (7, 9) in shapes, "the seven names of one letter fill a batch"
