"""Configs of XLNet at Hugging Face that kepipe cannot read: file and their key are told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from kepipe.models.hf.xlnet import CONFIG, read_config


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"attn_type": "both"}, '`attn_type`: expected bi, uni, found "both"'),
        ({"ff_activation": ["gelu"]}, 'activation ["gelu"]; known: gelu, gelu_new, gelu_pytorch_tanh, relu'),
        ({"d_model": "64"}, '`d_model`: expected a whole number from 1 to 131,072, found "64"'),
        ({"n_layer": 0}, "`n_layer`: expected a whole number from 1 to 1,024, found 0"),
    ],
)
def test_invalid_config_of_xlnet_is_told_in_its_own_words(
    values: dict[str, Any], message: str, tmp_path: Path
) -> None:
    (tmp_path / CONFIG).write_text(json.dumps(values))
    with pytest.raises(ValueError, match=r"config\.json: ") as error:
        read_config(tmp_path)
    assert str(error.value) == f"{tmp_path / CONFIG}: {message}"


def test_config_of_xlnet_that_is_no_json_is_named(tmp_path: Path) -> None:
    (tmp_path / CONFIG).write_text("{")
    with pytest.raises(ValueError, match=r"config\.json: no readable config of a model"):
        read_config(tmp_path)
