"""The states of words and special tokens of a static encoder; saving, and extending the vocabulary."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from kepipe.data.batch import Batch
from kepipe.models import folder
from kepipe.models.config import read_values
from kepipe.models.static.config import StaticConfig, read_static_config
from kepipe.models.static.encoder import StaticEncoder, load

CLS, SEP, MARK = 0, 1, 2


def encoder() -> StaticEncoder:
    """Vectors [n, 10 n] of ten tokens."""
    model = StaticEncoder(StaticConfig(family="glove", vocabulary=10, hidden=2, special=(CLS, SEP, MARK)))
    with torch.no_grad():
        model.tokens.weight.copy_(torch.outer(torch.arange(10.0), torch.tensor([1.0, 10.0])))
    return model


def batch(*rows: list[int]) -> Batch:
    longest = max(map(len, rows))
    tokens = torch.tensor([row + [CLS] * (longest - len(row)) for row in rows])
    documents = torch.tensor([[1] * len(row) + [0] * (longest - len(row)) for row in rows])
    return Batch(tokens=tokens, documents=documents)


def states(model: StaticEncoder, *rows: list[int]) -> list[list[float]]:
    hidden: list[list[float]] = model.encode(batch(*rows))[..., 0].tolist()
    return hidden


def test_states_of_words_are_their_vectors_and_of_special_tokens_means() -> None:
    row = [CLS, 3, 4, MARK, 5, 7, MARK, 9, SEP]
    [found] = states(encoder(), row)
    assert found == pytest.approx([28 / 5, 3, 4, 6, 5, 7, 9, 9, 0])


def test_a_separator_has_the_mean_of_the_second_text() -> None:
    [found] = states(encoder(), [CLS, 3, 5, SEP, 8, 8, SEP])
    assert found == pytest.approx([6, 3, 5, 8, 8, 8, 0])


def test_padding_has_no_effect() -> None:
    alone, [padded, _] = (
        states(encoder(), [CLS, 3, MARK, 4])[0],
        states(encoder(), [CLS, 3, MARK, 4], [CLS] + [5] * 7),
    )
    assert padded[:4] == alone


def test_a_row_without_words_is_zero() -> None:
    assert states(encoder(), [CLS, SEP]) == [[0, 0]]


def test_gradients_reach_the_vectors_through_words_and_means() -> None:
    model = encoder()
    model.encode(batch([CLS, 3, MARK, 4, SEP]))[0, [0, 2]].sum().backward()
    gradient = model.tokens.weight.grad
    assert gradient is not None
    assert gradient[:, 0].tolist() == pytest.approx([0, 0, 0, 0.5, 1.5, 0, 0, 0, 0, 0])


def test_a_saved_encoder_is_opened_unchanged(tmp_path: Path) -> None:
    model = encoder()
    folder.save(tmp_path, model)
    again = load(tmp_path)
    assert again.config == model.config
    assert torch.equal(again.tokens.weight, model.tokens.weight)
    assert states(again, [CLS, 3, MARK, 4]) == states(model, [CLS, 3, MARK, 4])
    assert read_values(tmp_path, StaticConfig.format)["family"] == "glove"


def test_added_tokens_are_special() -> None:
    grown = encoder().with_vocabulary(12)
    assert grown.config.special == (CLS, SEP, MARK, 10, 11)
    assert torch.equal(grown.tokens.weight[:10], encoder().tokens.weight)
    assert states(grown, [CLS, 11, 4, 6])[0] == [5, 5, 4, 6]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"hidden": 0}, "width 0"),
        ({"special": [10]}, "`special`: expected tokens from 0 to 9"),
        ({"vocabulary": 1 << 40}, "`vocabulary`: expected a whole number"),
        ({"subwords": {"shortest": 3, "longest": 2, "buckets": 5}}, "`subwords`"),
        ({"more": 1}, "unknown keys"),
    ],
)
def test_an_invalid_config_is_an_error(change: dict[str, object], message: str, tmp_path: Path) -> None:
    import json

    folder.save(tmp_path, encoder())
    values = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps(values | change))
    with pytest.raises(ValueError, match=message):
        read_static_config(tmp_path)
