"""Words predicted from the left and from the right, in rows that are streams and in others."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from kepipe.data.batch import Batch, TokenRows
from kepipe.data.stream_batches import turned
from kepipe.objectives import table
from kepipe.objectives.bidirectional import BidirectionalLM
from kepipe.objectives.bidirectional_collator import BidirectionalLoss
from kepipe.tokenization.trainers import words_or_bytes_tokenizer
from tests.support.elmo import WORDS

TOKENIZER = words_or_bytes_tokenizer(WORDS)
COLLATE = table.build(BidirectionalLM(), TOKENIZER).collate
RNG = np.random.default_rng(0)


def rows_of(*texts: str, documents: tuple[int, ...] = ()) -> TokenRows:
    """Rows of tokens by their names, padded at the right."""
    named = [[token_of(name) for name in text.split()] for text in texts]
    longest = max(map(len, named))
    tokens = np.array([row + [TOKENIZER.pad] * (longest - len(row)) for row in named])
    there = np.array([[1] * len(row) + [0] * (longest - len(row)) for row in named])
    zeros = np.zeros_like(tokens)
    found = np.array([documents]) if documents else there
    return TokenRows(tokens, zeros, found, there == 0, {"word": zeros}, zeros - 1, zeros)


def token_of(name: str) -> int:
    found = TOKENIZER.id(name)
    assert found is not None, name
    return found


def labels_of(batch: Batch) -> list[tuple[int, str, str]]:
    """Row, the token that is read, and the label there."""
    assert batch.label_positions is not None
    assert batch.labels is not None
    names = TOKENIZER.backend.id_to_token
    length, flat = batch.tokens.shape[1], batch.tokens.flatten()
    pairs = zip(batch.label_positions.tolist(), batch.labels.tolist(), strict=True)
    return [(place // length, names(int(flat[place])), names(label)) for place, label in pairs]


def test_word_is_predicted_from_both_sides_and_a_spelled_word_once() -> None:
    batch = COLLATE(rows_of("[CLS] Ġthe Ġ a b Ġmoon [SEP]"), RNG, 0.0)
    assert batch.from_right is not None
    assert batch.from_right.tolist() == [False, True]
    assert labels_of(batch) == [
        (0, "[CLS]", "Ġthe"), (0, "Ġthe", "Ġ"), (0, "b", "Ġmoon"), (0, "Ġmoon", "[SEP]"),
        (1, "[SEP]", "Ġmoon"), (1, "Ġmoon", "b"), (1, "Ġ", "Ġthe"), (1, "Ġthe", "[CLS]"),
    ]  # fmt: skip


def test_labels_do_not_cross_the_end_of_a_text() -> None:
    found = labels_of(COLLATE(rows_of("Ġthe [SEP] [CLS] Ġmoon"), RNG, 0.0))
    assert found == [
        (0, "Ġthe", "[SEP]"), (0, "[CLS]", "Ġmoon"), (1, "Ġmoon", "[CLS]"), (1, "[SEP]", "Ġthe"),
    ]  # fmt: skip


def test_padding_and_other_documents_have_no_labels() -> None:
    found = labels_of(COLLATE(rows_of("Ġthe Ġof", "Ġmoon"), RNG, 0.0))
    assert found == [(0, "Ġthe", "Ġof"), (2, "Ġof", "Ġthe")]
    assert labels_of(COLLATE(rows_of("Ġthe Ġof", documents=(1, 2)), RNG, 0.0)) == []
    packed = labels_of(COLLATE(rows_of("Ġthe Ġof Ġmoon Ġthe", documents=(1, 1, 2, 2)), RNG, 0.0))
    assert packed == [(0, "Ġthe", "Ġof"), (0, "Ġmoon", "Ġthe"), (1, "Ġthe", "Ġmoon"), (1, "Ġof", "Ġthe")]


def test_streams_keep_their_given_direction() -> None:
    rows = rows_of("Ġthe Ġ a Ġmoon", "Ġof Ġ b Ġthe")
    from_right = np.array([False, True])
    batch = COLLATE(turned(rows, from_right), RNG, 0.0)
    assert len(batch.tokens) == 2
    assert labels_of(batch) == [
        (0, "Ġthe", "Ġ"), (0, "a", "Ġmoon"), (1, "Ġthe", "b"), (1, "Ġ", "Ġof"),
    ]  # fmt: skip


class Uniform:
    """Predicts constant losses, whatever it reads."""

    def __call__(self, batch: Batch, positions_N: torch.Tensor) -> torch.Tensor:
        return torch.zeros(len(positions_N), 3)

    def token_loss(self, hidden_ND: torch.Tensor, labels_N: torch.Tensor) -> torch.Tensor:
        assert len(hidden_ND) == len(labels_N)
        return torch.tensor(2.0 if (labels_N == token_of("[CLS]")).any() else 1.0) * len(labels_N)


def test_bidirectional_loss_is_the_mean_over_both_directions() -> None:
    loss, batch = BidirectionalLoss(), COLLATE(rows_of("[CLS] Ġthe Ġmoon [SEP]"), RNG, 0.0)
    assert loss.counts(batch) == {"lm": 6, "forward": 3, "backward": 3}
    assert [places.tolist() for places in loss.positions(batch)] == [[0, 1, 2], [4, 5, 6]]
    means = {name: float(mean) for name, mean in loss(Uniform(), batch).items()}
    assert means == {"lm": 1.5, "forward": 1.0, "backward": 2.0}
    nothing = replace(batch, label_positions=batch.tokens.new_zeros(0), labels=batch.tokens.new_zeros(0))
    assert all(float(mean) == 0 for mean in loss(Uniform(), nothing).values())


@pytest.mark.parametrize("name", ["bidirectional-lm", {"name": "bidirectional-lm"}])
def test_bidirectional_lm_is_a_row_of_the_table(name: object) -> None:
    assert table.read(name) == BidirectionalLM()
    assert table.read(name).both_directions()
