"""Model folders: exact, deterministic, complete or not written."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from kepipe.models import folder
from kepipe.models.base import Base, build
from kepipe.models.families import FAMILIES
from kepipe.models.pretrained import from_pretrained, locate
from kepipe.models.transformer import Transformer
from kepipe.tokenization.tokenizer import load_tokenizer


def small(family: str = "bert", seed: int = 0) -> Transformer:
    return build(Base.model_validate({"family": family, "layers": 1, "hidden": 32, "heads": 2}), 50, seed)


@pytest.mark.parametrize("family", FAMILIES)
def test_model_folder_round_trip_is_exact(family: str, tmp_path: Path) -> None:
    model = small(family)
    folder.save(tmp_path, model, provenance={"steps": 3})
    loaded = folder.load(tmp_path)
    assert loaded.config == model.config
    assert not loaded.training
    assert folder.read_provenance(tmp_path) == {"steps": 3}
    for (name, weight), (other, expected) in zip(
        loaded.named_parameters(), model.named_parameters(), strict=True
    ):
        assert name == other
        assert weight.requires_grad
        assert torch.equal(weight, expected)


def test_equal_weights_give_equal_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        folder.save(tmp_path / name, small())
    for file in ("config.json", "model.safetensors", "kepipe.json"):
        assert (tmp_path / "one" / file).read_bytes() == (tmp_path / "two" / file).read_bytes()


def test_tokenizer_is_saved_with_the_model(tmp_path: Path) -> None:
    folder.save(tmp_path, small(), tokenizer=locate("minilm"))
    assert (tmp_path / "tokenizer.json").read_bytes() == (locate("minilm") / "tokenizer.json").read_bytes()
    with pytest.raises(ValueError, match="holds no tokenizer"):
        folder.save(tmp_path, small(), tokenizer=tmp_path / "empty")


def test_full_disk_is_reported_and_keeps_the_previous_model(tmp_path: Path) -> None:
    folder.save(tmp_path, small())
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    script = f"""
import resource
from pathlib import Path
from kepipe.models import folder
from kepipe.models.base import Base, build
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
try:
    folder.save(Path({str(tmp_path)!r}), build(Base(family="bert", layers=1, hidden=32, heads=2), 50, 1))
except OSError as error:
    print(error)
"""
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert f"{tmp_path / 'model.safetensors'}: cannot be written" in run.stdout
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before


def test_damaged_model_folder_is_reported(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"config\.json: no readable config"):
        folder.load(tmp_path)
    folder.save(tmp_path, small())
    other = tmp_path / "other"
    folder.save(other, small("gpt2"))
    (other / "config.json").write_bytes((tmp_path / "config.json").read_bytes())
    with pytest.raises(ValueError, match=r"model\.safetensors: does not fit config\.json"):
        folder.load(other)
    (other / "model.safetensors").write_bytes(b"\x00" * 40)
    with pytest.raises(ValueError, match=r"model\.safetensors: no readable weights"):
        folder.load(other)
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**config, "hiden": 3}))
    with pytest.raises(ValueError, match="unknown keys of a model's config: hiden"):
        folder.load(tmp_path)


def test_trained_folder_loads_with_another_dropout(tmp_path: Path) -> None:
    model = small()
    folder.save(tmp_path, model)
    again = from_pretrained(str(tmp_path), dropout=0.2)
    assert again.config.dropout == 0.2
    assert all(torch.equal(a, b) for a, b in zip(again.parameters(), model.parameters(), strict=True))


def test_unknown_model_name_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="expected a model folder"):
        locate(str(tmp_path / "nowhere"))


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("encoder_layers", 10**9),
        ("hidden", 10**12),
        ("vocabulary", 1 << 40),
        ("positions", -5),
        ("heads", 2.5),
        ("feedforward", "64"),
        ("encoder_layers", True),
    ],
)
def test_config_with_impossible_sizes_is_rejected_before_building(
    tmp_path: Path, name: str, size: object
) -> None:
    folder.save(tmp_path, small())
    values = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**values, name: size}))
    with pytest.raises(ValueError, match=rf"config\.json: `{name}`: expected a whole number up to"):
        folder.load(tmp_path)


def test_weight_index_may_only_name_files_in_the_folder(tmp_path: Path) -> None:
    from kepipe.models.hf import huggingface

    for names in ({"a": "../../etc/passwd.safetensors"}, {"a": 3}, [], {"a": "model.bin"}):
        (tmp_path / "model.safetensors.index.json").write_text(json.dumps({"weight_map": names}))
        with pytest.raises(
            ValueError, match=r"index\.json: `weight_map`: expected names of \.safetensors files"
        ):
            huggingface.read(tmp_path)


def test_pipe_in_place_of_weights_or_tokenizer_is_rejected(tmp_path: Path) -> None:
    from kepipe.models.hf import huggingface

    folder.save(tmp_path, small())
    (tmp_path / "model.safetensors").unlink()
    os.mkfifo(tmp_path / "model.safetensors")
    for read in (folder.load, huggingface.read):
        with pytest.raises(ValueError, match=r"model\.safetensors: expected a file, found a pipe"):
            read(tmp_path)
    for name, others in {"tokenizer.json": (), "vocab.txt": (), "merges.txt": ("vocab.json",)}.items():
        (place := tmp_path / name.partition(".")[0]).mkdir()
        os.mkfifo(place / name)
        for other in others:
            (place / other).write_text("{}")
        with pytest.raises(ValueError, match=r"expected a file, found a pipe"):
            load_tokenizer(place)
