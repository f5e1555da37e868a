"""The three word softmaxes: full, sampled, adaptive."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F

from kepipe.models.elmo.softmax import AdaptiveSoftmax, FullSoftmax, SampledSoftmax, classes_of, cutoffs_for
from kepipe.models.elmo.spelling import spelling_of
from kepipe.tokenization.trainers import words_or_bytes_tokenizer
from tests.support.elmo import WORDS

HIDDEN, CLASSES = 16, 200


def drawn(head: torch.nn.Module) -> torch.nn.Module:
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for weight in head.parameters():
            weight.normal_(0.0, 0.5, generator=generator)
    return head


def places() -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(7, HIDDEN, generator=generator), torch.tensor([0, 1, 2, 19, 20, 120, 199])


@pytest.mark.parametrize(
    "head",
    [
        FullSoftmax(HIDDEN, CLASSES),
        SampledSoftmax(HIDDEN, CLASSES, 20).eval(),
        AdaptiveSoftmax(HIDDEN, CLASSES, (20, 80)),
    ],
)
def test_the_loss_agrees_with_the_probabilities(head: FullSoftmax) -> None:
    drawn(head)
    hidden_ND, classes_N = places()
    found_NC = head.log_probabilities(hidden_ND)
    torch.testing.assert_close(found_NC.exp().sum(1), torch.ones(7))
    expected = -found_NC.gather(1, classes_N[:, None]).sum()
    torch.testing.assert_close(head.summed_loss(hidden_ND, classes_N), expected, rtol=1e-4, atol=1e-4)


def test_the_sampled_loss_corrects_for_sampling_probabilities() -> None:
    head = SampledSoftmax(HIDDEN, CLASSES, 20)
    drawn(head)
    hidden_ND, classes_N = places()
    torch.manual_seed(3)
    found = head.summed_loss(hidden_ND, classes_N)
    torch.manual_seed(3)
    against = torch.multinomial(head.get_buffer("share"), 20).tolist()
    share = [math.log((rank + 2) / (rank + 1)) / math.log(CLASSES + 1) for rank in range(CLASSES)]
    assert math.isclose(sum(share), 1.0)
    draws = next(n for n in range(20, 2000) if sum(1 - (1 - p) ** n for p in share) >= 20)
    expected = 0.0
    for h, word in zip(hidden_ND, classes_N.tolist(), strict=True):
        scores = []
        for other in [word, *(each for each in against if each != word)]:
            chance = 1 - (1 - share[other]) ** draws
            scores.append(float((head.weight[other] @ h + head.bias[other]).detach()) - math.log(chance))
        expected -= float(F.log_softmax(torch.tensor(scores), 0)[0])
    assert math.isclose(float(found.detach()), expected, rel_tol=2e-2), "to the fraction of a draw"


def test_sampling_all_words_equals_the_full_softmax() -> None:
    head = SampledSoftmax(HIDDEN, CLASSES, 5 * CLASSES)
    drawn(head)
    torch.testing.assert_close(head.summed_loss(*places()), FullSoftmax.summed_loss(head, *places()))


def test_softmax_classes_are_end_unknown_and_words_in_token_order() -> None:
    tokenizer = words_or_bytes_tokenizer(WORDS)
    classes = classes_of(tokenizer, spelling_of(tokenizer))
    names = ["[CLS]", "[SEP]", "[UNK]", "Ġ", "a", "Ġthe", "Ġmoon"]
    tokens = [tokenizer.id(name) for name in names]
    assert classes.of_token[tokens].tolist() == [0, 0, 1, 1, 1, 2, 3]
    assert classes.tokens.tolist()[:4] == [tokenizer.sep, -1, tokens[5], tokens[6]]
    assert len(classes.tokens) == 2 + len(WORDS)


@pytest.mark.parametrize("words", [3, 9, 11, 1000])
def test_cutoffs_fit_any_vocabulary(words: int) -> None:
    AdaptiveSoftmax(HIDDEN, words, cutoffs_for(words))
    assert cutoffs_for(1000) == (100, 400)
