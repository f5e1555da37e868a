"""Values of a config.json that cannot be: each is told with its file, once, and its key."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from kepipe.models.config import CONFIG, TransformerConfig, read_config, read_format

VALID = TransformerConfig(
    family="bert", vocabulary=5, hidden=4, heads=2, feedforward=8, encoder_layers=1
).to_json()


def write(folder: Path, values: Any) -> Path:
    folder.mkdir(exist_ok=True)
    (folder / CONFIG).write_text(json.dumps(values))
    return folder


@pytest.mark.parametrize("name", [".", "a", "n", "m", "nested"])
def test_file_is_named_once_whatever_the_folder_is_called(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    folder = write(Path(name), {"format": TransformerConfig.format, **VALID, "encoder_layers": 0})
    with pytest.raises(ValueError, match="a transformer needs") as error:
        read_config(folder)
    assert str(error.value) == f"{folder / CONFIG}: a transformer needs encoder_layers or decoder_layers"
    (folder / CONFIG).write_text("{")
    for read in (read_config, read_format):
        with pytest.raises(ValueError, match="no readable config") as error:
            read(folder)
        assert str(error.value).startswith(f"{folder / CONFIG}: no readable config of a model (")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"heads": 0}, "heads must be at least 1, not 0"),
        ({"label_heads": 3}, "`label_heads`: expected an object, found 3"),
        ({"fusion": 3}, "`fusion`: expected an object, found 3"),
        ({"rotary": ["a"]}, '`rotary`: expected an object, found ["a"]'),
        ({"fusion": {"first": 0, "depth": 1}}, "unknown keys of a model's config: depth"),
        ({"activation": ["gelu"]}, '`activation`: expected gelu, gelu_tanh, relu, found ["gelu"]'),
        ({"hidden": [4]}, "`hidden`: expected a whole number up to 131,072, found [4]"),
    ],
)
def test_value_of_the_wrong_kind_is_told_by_its_key(
    values: dict[str, Any], message: str, tmp_path: Path
) -> None:
    write(tmp_path, {"format": TransformerConfig.format, **VALID, **values})
    with pytest.raises(ValueError, match=r"config\.json: ") as error:
        read_config(tmp_path)
    assert str(error.value) == f"{tmp_path / CONFIG}: {message}"
