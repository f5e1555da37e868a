"""A folder's config, read before the weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from kepipe.models.hf.settings import release_of
from kepipe.models.pretrained import from_pretrained, read_config

BERT = {
    "vocab_size": 99,
    "hidden_size": 32,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "max_position_embeddings": 64,
    "hidden_dropout_prob": 0.1,
    "attention_probs_dropout_prob": 0.1,
}


@pytest.mark.parametrize(
    ("config", "release"),
    [
        ({**BERT, "layer_types": ["sim", "mix"]}, "thunlp"),
        ({"layers_num": 2, "heads_num": 4}, "uer"),
        ({**BERT, "model_type": "bert"}, None),
        (BERT, None),
        ({"model_type": "qwen3", "layer_types": ["full_attention"]}, None),
    ],
)
def test_release_is_detected_by_its_config(config: dict[str, Any], release: str | None) -> None:
    assert release_of(config) == release


@pytest.mark.parametrize("named", [True, False])
def test_config_without_a_family_is_bert(tmp_path: Path, named: bool) -> None:
    (tmp_path / "config.json").write_text(json.dumps({**BERT, **({"model_type": "bert"} if named else {})}))
    told = read_config(str(tmp_path))
    assert told is not None
    assert (told.family, told.vocabulary, told.positions) == ("bert", 99, 64)


@pytest.mark.skipif(not Path("/proc/self/mem").exists(), reason="a file that opens and cannot be read")
def test_unreadable_config_is_named(tmp_path: Path) -> None:
    (tmp_path / "config.json").symlink_to("/proc/self/mem")
    for read in (read_config, from_pretrained):
        with pytest.raises(ValueError, match=r"config\.json: no readable config of a model"):
            read(str(tmp_path))
