"""ELMo agrees with an independent computation, word by word; rows of a batch do not affect each other."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from kepipe.data.batch import Batch
from kepipe.models.elmo.model import Elmo
from kepipe.nn.gather import reversed_positions
from tests.support.elmo import (
    OPTIONS,
    batch_of,
    layers,
    lstm,
    random_weights,
    small_model,
    word_vector,
    words_of,
)

TEXTS = ("the moon of Äpfel", "unheard 中 words , " + "x" * 60, "moon")


@pytest.fixture(scope="module")
def model() -> Elmo:
    return small_model()


@torch.no_grad()
def layers_of(model: Elmo, batch: Batch) -> torch.Tensor:
    return torch.stack(model.layers(model.words(batch.tokens, batch.documents)))


def test_elmo_layers_agree_with_the_published_equations(model: Elmo) -> None:
    found_KBWD = layers_of(model, batch_of(*TEXTS))
    for row, text in enumerate(TEXTS):
        words = words_of(text)
        expected_KWD = layers(random_weights(OPTIONS), OPTIONS, words)
        np.testing.assert_allclose(found_KBWD[:, row, : len(words)], expected_KWD, atol=1e-10)
        assert not found_KBWD[:, row, len(words) :].any(), "nothing stands beyond a row's end"


def test_elmo_cells_and_projections_are_clipped(model: Elmo) -> None:
    weights, words = random_weights(OPTIONS), words_of(TEXTS[1])
    free = {**OPTIONS, "lstm": {**OPTIONS["lstm"], "cell_clip": 9.0, "proj_clip": 9.0}}
    half = {**OPTIONS, "lstm": {**OPTIONS["lstm"], "proj_clip": 9.0}}
    cut, without_projection, without = (layers(weights, each, words) for each in (OPTIONS, half, free))
    assert abs(cut - without_projection).max() > 0.1
    assert abs(without_projection - without).max() > 0.1


def test_a_row_does_not_depend_on_its_batch(model: Elmo) -> None:
    together, alone = layers_of(model, batch_of(*TEXTS)), layers_of(model, batch_of(TEXTS[2]))
    torch.testing.assert_close(together[:, 2:3, :3], alone)


def test_elmo_tokens_of_a_word_have_its_state_and_the_first_the_rows(model: Elmo) -> None:
    batch = batch_of("the Mär moon")
    hidden_TD = model.encode(batch)[0].detach()
    mixed_WD = layers_of(model, batch).mean(0)[0]
    # [CLS] the, then the opening token and four bytes, moon, [SEP]
    of_token = [0, 1, 2, 2, 2, 2, 2, 3, 4]
    torch.testing.assert_close(hidden_TD[1:], mixed_WD[of_token[1:]])
    torch.testing.assert_close(hidden_TD[0], torch.cat([mixed_WD[4, :8], mixed_WD[0, 8:]]))


def test_documents_with_distinct_numbers_in_a_row_are_independent(model: Elmo) -> None:
    first, second = batch_of("the moon"), batch_of("of 中 unheard")
    tokens = torch.cat([first.tokens, second.tokens], 1)
    documents = torch.cat([first.documents, 2 * second.documents], 1)
    both = layers_of(model, Batch(tokens=tokens, documents=documents))
    torch.testing.assert_close(both, torch.cat([layers_of(model, first), layers_of(model, second)], 2))
    one = layers_of(model, Batch(tokens=tokens, documents=documents.clamp(max=1)))
    assert not torch.allclose(both, one)


@pytest.mark.parametrize("part", ["cnn", "lstm", "mixture"])
def test_gradients_agree_with_finite_differences(model: Elmo, part: str) -> None:
    batch, generator = batch_of("the Mär moon"), torch.Generator().manual_seed(1)
    weights = [*model.get_submodule(part).parameters()]
    steps = [torch.randn(weight.shape, generator=generator, dtype=weight.dtype) for weight in weights]

    def total() -> torch.Tensor:
        return (model.encode(batch) ** 2).sum()

    gradients = torch.autograd.grad(total(), weights)
    slope = sum((gradient * step).sum() for gradient, step in zip(gradients, steps, strict=True))
    values = []
    with torch.no_grad():
        for sign in (1, -2, 1):
            for weight, step in zip(weights, steps, strict=True):
                weight += sign * 1e-6 * step
            values.append(total())
    torch.testing.assert_close(slope, (values[0] - values[1]) / 2e-6, rtol=1e-4, atol=1e-5)


def test_states_are_carried_between_batches_in_both_directions(model: Elmo) -> None:
    whole, parts = batch_of("the moon of Äpfel 中 ,"), (slice(0, 4), slice(4, 8))
    from_right = torch.tensor([False, True])
    states: dict[str, torch.Tensor] = {}
    read = []
    for at, part in enumerate(parts):
        forward, backward = whole.tokens[:, part], whole.tokens[:, parts[1 - at]].flip(1)
        batch = Batch(
            tokens=torch.cat([forward, backward]),
            documents=torch.ones(2, 4, dtype=torch.long),
            from_right=from_right,
            state=states,
        )
        read.append(model(batch).detach())
    hidden_TP = torch.cat([read[0][0], read[1][0]]), torch.cat([read[1][1].flip(0), read[0][1].flip(0)])
    expected_TD = layers_of(model, whole)[-1, 0]
    torch.testing.assert_close(torch.cat(hidden_TP, 1), expected_TD)
    weights, words = random_weights(OPTIONS), words_of("the moon of Äpfel 中 ,")
    vectors = [word_vector(weights, OPTIONS, word) for word in words]
    _, (output, cell) = lstm(weights, OPTIONS, 1, 0, vectors[::-1])
    np.testing.assert_allclose(states["output0"][1].detach(), output, atol=1e-10)
    np.testing.assert_allclose(states["cell0"][1].detach(), cell, atol=1e-10)


def test_reversing_rows_twice_is_the_identity() -> None:
    documents = torch.tensor([[1, 1, 1, 0], [1, 1, 1, 1]])
    place = reversed_positions(documents > 0, torch.tensor([True, False]))
    assert place.tolist() == [[2, 1, 0, 3], [0, 1, 2, 3]]
    assert place.gather(1, place).tolist() == [[0, 1, 2, 3], [0, 1, 2, 3]]
