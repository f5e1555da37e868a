"""The published files are read and written: HDF5 and options, by their own names and shapes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from kepipe.cli import app
from kepipe.inference.opening import open_model
from kepipe.models.elmo import published
from kepipe.models.elmo.model import Elmo
from kepipe.tokenization.tokenizer import load_tokenizer
from tests.support.elmo import OPTIONS, layers, random_weights, small_model, words_of

TEXT = "the unheard moon , Äpfel 中国"


def write_options(folder: Path, options: dict[str, Any]) -> Path:
    file = folder / "options.json"
    file.write_text(json.dumps(options), encoding="utf-8")
    return file


def write_weights(folder: Path) -> Path:
    """A file in the layout of dumped TensorFlow weights: nested groups, float32."""
    h5py = pytest.importorskip("h5py")
    file = folder / "weights.hdf5"
    with h5py.File(file, "w") as stored:
        for name, value in random_weights(OPTIONS).items():
            *groups, last = name.split("/")
            place = stored
            for group in groups:
                place = place.require_group(group)
            place.create_dataset(last, data=value.astype("float32"))
    return file


def imported(folder: Path) -> Path:
    words = folder / "vocab.txt"
    words.write_text("<S>\n</S>\n<UNK>\nthe\nmoon\n,\n", encoding="utf-8")
    files = [str(write_options(folder, OPTIONS)), str(write_weights(folder)), str(folder / "elmo")]
    printed = CliRunner().invoke(app, ["import-elmo", *files, "--vocabulary", str(words)])
    assert printed.exit_code == 0, printed.output
    assert "2 layers of 12 cells" in printed.output
    return folder / "elmo"


def test_published_elmo_file_gives_the_published_states(tmp_path: Path) -> None:
    opened = open_model(imported(tmp_path))
    assert opened.language_model is None, "the output layer is not in the file"
    model = opened.encoder
    assert isinstance(model, Elmo)
    tokenizer = load_tokenizer(tmp_path / "elmo")
    tokens = [tokenizer.cls, *tokenizer.encode([TEXT]).tokens.tolist(), tokenizer.sep]
    batch = torch.tensor([tokens])
    with torch.no_grad():
        found_KWD = torch.stack(model.layers(model.words(batch, torch.ones_like(batch))))[:, 0]
    expected_KWD = layers(random_weights(OPTIONS), OPTIONS, words_of(TEXT.replace("中国", "中 国")))
    np.testing.assert_allclose(found_KWD, expected_KWD, rtol=1e-5, atol=1e-5)


def test_exported_elmo_files_round_trip(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    out = tmp_path / "again"
    printed = CliRunner().invoke(app, ["export", str(imported(tmp_path)), str(out)])
    assert printed.exit_code == 0, printed.output
    assert json.loads((out / "options.json").read_text()) == OPTIONS
    with h5py.File(out / "weights.hdf5") as stored:
        for name, value in random_weights(OPTIONS).items():
            np.testing.assert_array_equal(stored[name][...], value.astype("float32"), err_msg=name)
    assert (out / "tokenizer.json").is_file()


def test_a_missing_weight_or_a_wrong_shape_is_an_error() -> None:
    weights = random_weights(OPTIONS)
    lacking = {name: value for name, value in weights.items() if name != "CNN_proj/b_proj"}
    with pytest.raises(ValueError, match="CNN_proj/b_proj is missing; expected"):
        published.assign(small_model(), lacking)
    with pytest.raises(ValueError, match=r"char_embed has the shape \(260, 4\); expected \(261, 4\)"):
        published.assign(small_model(), {**weights, "char_embed": weights["char_embed"][1:]})


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"lstm": OPTIONS["lstm"]}, "a word-based model"),
        ({**OPTIONS, "lstm": {}}, "lacks 'dim'"),
        ({**OPTIONS, "char_cnn": {**OPTIONS["char_cnn"], "n_characters": 60}}, "expected 262, found 60"),
        ({**OPTIONS, "lstm": {**OPTIONS["lstm"], "dim": 1 << 40}}, "`cell`: expected a whole number"),
        ({**OPTIONS, "char_cnn": {**OPTIONS["char_cnn"], "activation": "gelu"}}, "expected relu, tanh"),
    ],
)
def test_unsupported_options_are_an_error(tmp_path: Path, options: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        published.read_options(write_options(tmp_path, options), 100)


def test_options_round_trip(tmp_path: Path) -> None:
    config = published.read_options(write_options(tmp_path, OPTIONS), 100)
    assert published.to_options(config) == OPTIONS
    assert config.softmax == "none"
    assert config.capabilities == {"encoder"}


def test_a_file_that_is_not_hdf5_is_an_error(tmp_path: Path) -> None:
    pytest.importorskip("h5py")
    (tmp_path / "weights.hdf5").write_text("no weights")
    with pytest.raises(ValueError, match="no readable HDF5 file"):
        published.load_weights(small_model(), tmp_path / "weights.hdf5")


def test_missing_h5py_is_named_in_the_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "h5py", None)
    with pytest.raises(ValueError, match=r"pip install kepipe\[elmo\]"):
        published.save(tmp_path, small_model())
