"""Variants of Hugging Face folders, and the errors for unusable ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from kepipe.models.base import Base, build
from kepipe.models.hf import huggingface
from kepipe.models.transformer import Transformer


def small(**values: Any) -> Transformer:
    return build(Base.model_validate({"layers": 2, "hidden": 32, "heads": 2, **values}), 50, 0)


def equal(one: Transformer, other: Transformer) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))


def rewrite(folder: Path, weights: dict[str, torch.Tensor]) -> None:
    save_file(weights, folder / huggingface.WEIGHTS)


def test_old_norm_names_and_missing_prefix_are_read(tmp_path: Path) -> None:
    model = small()
    huggingface.save(tmp_path, model)
    weights = load_file(tmp_path / huggingface.WEIGHTS)
    old = {
        name.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta"): value
        for name, value in weights.items()
    }
    rewrite(tmp_path, old)
    assert equal(huggingface.load(tmp_path).model, model)
    rewrite(tmp_path, {name.removeprefix("bert."): value for name, value in weights.items()})
    assert equal(huggingface.load(tmp_path).model, model)


def test_half_precision_and_sharded_weights_are_read(tmp_path: Path) -> None:
    model = small(family="gpt2")
    huggingface.save(tmp_path, model)
    weights = {name: value.bfloat16() for name, value in load_file(tmp_path / huggingface.WEIGHTS).items()}
    names = sorted(weights)
    parts = {"a.safetensors": names[::2], "b.safetensors": names[1::2]}
    for file, held in parts.items():
        save_file({name: weights[name] for name in held}, tmp_path / file)
    index = {"weight_map": {name: file for file, held in parts.items() for name in held}}
    (tmp_path / huggingface.INDEX).write_text(json.dumps(index))
    (tmp_path / huggingface.WEIGHTS).unlink()
    loaded = huggingface.load(tmp_path).model
    assert torch.equal(loaded.tokens.weight, model.tokens.weight.bfloat16().float())


def test_missing_and_unused_weights_are_reported(tmp_path: Path) -> None:
    huggingface.save(tmp_path, small())
    weights = load_file(tmp_path / huggingface.WEIGHTS)
    encoder = {name: value for name, value in weights.items() if not name.startswith("cls.")}
    rewrite(tmp_path, {**encoder, "classifier.weight": torch.zeros(3, 32)})
    ported = huggingface.load(tmp_path, seed=1)
    assert "head.transform.dense.weight" in ported.missing
    assert all(name.startswith("head.") for name in ported.missing)
    assert ported.unused == ("classifier.weight",)
    assert not ported.model.config.next_sentence


def test_untied_output_matrix_is_kept(tmp_path: Path) -> None:
    huggingface.save(tmp_path, small(family="gpt2"))
    weights = load_file(tmp_path / huggingface.WEIGHTS)
    output = torch.randn(50, 32)
    rewrite(tmp_path, {**weights, "lm_head.weight": output})
    model = huggingface.load(tmp_path).model
    assert not model.config.tied
    assert torch.equal(model.vocabulary(torch.eye(32)), output.t())


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"model_type": "llama"}, "model type 'llama' is not one kepipe can port; known: bert"),
        ({"position_embedding_type": "relative_key"}, 'position_embedding_type is "relative_key"'),
        ({"hidden_act": "swish"}, 'activation "swish"; known: gelu'),
        ({"hidden_act": ["gelu"]}, r'activation \["gelu"\]; known: gelu'),
        ({"hidden_size": [32]}, r"`hidden_size`: expected a whole number up to 131,072, found \[32\]"),
        (
            {"max_position_embeddings": 0},
            "`max_position_embeddings`: expected a whole number from 1 to .* found 0",
        ),
        ({"hidden_size": 64}, r"tokens\.weight is \(50, 32\); its config\.json says \(50, 64\)"),
        ({"vocab_size": 51}, r"tokens\.weight is \(50, 32\); its config\.json says \(51, 32\)"),
    ],
)
def test_config_errors_name_file_and_key(change: dict[str, Any], problem: str, tmp_path: Path) -> None:
    huggingface.save(tmp_path, small())
    file = tmp_path / huggingface.CONFIG
    file.write_text(json.dumps({**json.loads(file.read_text()), **change}))
    with pytest.raises(ValueError, match=problem) as error:
        huggingface.load(tmp_path)
    assert str(tmp_path) in str(error.value)


def test_roberta_needs_positions_after_those_that_it_does_not_use(tmp_path: Path) -> None:
    huggingface.save(tmp_path, small(family="roberta"))
    file = tmp_path / huggingface.CONFIG
    values = json.loads(file.read_text()) | {"pad_token_id": 1, "max_position_embeddings": 2}
    file.write_text(json.dumps(values))
    with pytest.raises(
        ValueError, match=r"config\.json: `max_position_embeddings`: .* from 3 to .*, found 2"
    ):
        huggingface.load(tmp_path)


def test_pickled_weights_are_rejected(tmp_path: Path) -> None:
    huggingface.save(tmp_path, small())
    (tmp_path / huggingface.WEIGHTS).rename(tmp_path / "pytorch_model.bin")
    with pytest.raises(ValueError, match="Weights are read from safetensors only, never unpickled"):
        huggingface.load(tmp_path)


def test_export_of_unsupported_settings_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="gpt2 with norm_place = 'post' has no form at Hugging Face"):
        huggingface.save(tmp_path, small(family="gpt2", norm="post"))
    with pytest.raises(ValueError, match="task embeddings"):
        huggingface.save(tmp_path, small(tasks=3))


@pytest.mark.parametrize(("settings", "pad"), [
    ({"eos_token_id": 7}, 7), ({"eos_token_id": 7, "pad_token_id": 5}, 5), ({}, 0),
])  # fmt: skip
def test_gpt_without_padding_token_pads_with_the_end_token(
    tmp_path: Path, settings: dict[str, int], pad: int
) -> None:
    """Otherwise texts that end early would be padded with token 0, an exclamation mark in the release."""
    huggingface.save(tmp_path, small(family="gpt2"))
    file = tmp_path / "config.json"
    theirs = {k: v for k, v in json.loads(file.read_text()).items() if k != "pad_token_id"}
    file.write_text(json.dumps({**theirs, **settings}))
    assert huggingface.load(tmp_path).model.config.pad == pad
