"""A mixture's probabilities are the weighted sum of its members'."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kepipe.arrays import Floats, Ints
from kepipe.models.interpolation import Interpolation, InterpolationConfig, read_interpolation_config
from kepipe.models.networks.language_model import NetworkLanguageModel
from kepipe.models.networks.network import ReadingNetwork
from kepipe.models.protocols import LanguageModel, NextTokenModel, OwnVocabulary
from kepipe.tokenization.tokenizer import Tokenizer
from tests.support.networks import network
from tests.support.tasks import tokenizer

WORDS = tokenizer()
TEXTS = [np.array([7, 11, 9, 30]), np.array([12])]


def member(family: str, seed: int) -> NetworkLanguageModel:
    model = network(family, seed, WORDS.vocab_size)
    assert isinstance(model, ReadingNetwork)
    return NetworkLanguageModel(model, WORDS)


@dataclass(frozen=True)
class Scores:
    """A language model that does not write."""

    tokenizer: Tokenizer = WORDS

    def log_likelihoods(
        self, prompts: Sequence[Ints], rows: Sequence[int], targets: Sequence[Ints]
    ) -> Floats:
        return np.full((len(rows), max(map(len, targets))), np.log(0.25))


def test_interpolated_probabilities_are_a_weighted_sum() -> None:
    one, two = member("lstm", 1), member("nnlm", 2)
    mixed = Interpolation((one, two), (0.3, 0.7))
    assert isinstance(mixed, LanguageModel)
    assert isinstance(mixed, NextTokenModel)
    assert isinstance(mixed, OwnVocabulary)
    asked: Any = ([np.array([8])], [0, 0], TEXTS)
    found_NU = np.exp(mixed.log_likelihoods(*asked))
    expected_NU = 0.3 * np.exp(one.log_likelihoods(*asked)) + 0.7 * np.exp(two.log_likelihoods(*asked))
    np.testing.assert_allclose(found_NU, expected_NU)
    assert not mixed.log_likelihoods(*asked)[1, 1:].any()
    found_BV = np.exp(mixed.log_probabilities(TEXTS))
    expected_BV = 0.3 * np.exp(one.log_probabilities(TEXTS)) + 0.7 * np.exp(two.log_probabilities(TEXTS))
    np.testing.assert_allclose(found_BV, expected_BV)
    assert mixed.generate(TEXTS, limit=1)[1].tolist() == [expected_BV[1].argmax()]
    assert mixed.end == WORDS.sep
    unknown = WORDS.role("unk")
    assert mixed.unknown(np.array([7, unknown])).tolist() == [False, True]


def test_mixture_with_a_scoring_member_cannot_generate() -> None:
    mixed = Interpolation((member("lstm", 1), Scores()), (0.5, 0.5))
    assert mixed.log_likelihoods([TEXTS[0]], [0], [TEXTS[1]]).shape == (1, 1)
    with pytest.raises(ValueError, match="does not write one"):
        mixed.generate(TEXTS, limit=2)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"weights": [0.5, 0.6]}, "whose sum is 1"),
        ({"weights": [1.5, -0.5]}, "numbers above 0"),
        ({"weights": ["a", "b"]}, r'numbers above 0 whose sum is 1, found \["a", "b"\]'),
        ({"weights": [True, 0.5]}, "numbers above 0"),
        ({"weights": [1.0]}, "each with a weight"),
        ({"members": ["one"], "weights": [1.0]}, "two or more members"),
        ({"members": ["one", "../two"]}, "folders in the model's own"),
        ({"members": ["one", ".."]}, "folders in the model's own"),
        ({"depth": 1}, "unknown keys"),
    ],
)
def test_invalid_interpolation_config_is_rejected(
    changes: dict[str, Any], message: str, tmp_path: Path
) -> None:
    values = InterpolationConfig(members=("one", "two"), weights=(0.5, 0.5)).to_json()
    (tmp_path / "config.json").write_text(json.dumps(values))
    assert read_interpolation_config(tmp_path).to_json() == {
        **values,
        "members": ("one", "two"),
        "weights": (0.5, 0.5),
    }
    (tmp_path / "config.json").write_text(json.dumps({**values, **changes}))
    with pytest.raises(ValueError, match=message):
        read_interpolation_config(tmp_path)
