"""The files with which sentence-transformers opens a Hugging Face folder as a text-vector model."""

from __future__ import annotations

import json
from pathlib import Path

from kepipe.files import write_text
from kepipe.models.files import write_json
from kepipe.models.text_pooling import Pooling

MODULES = ("", "1_Pooling", "2_Normalize")
"""Folders of the modules, in the order of their application."""


def write_modules(folder: Path, width: int, pooling: Pooling, length: int) -> None:
    """Write `modules.json` and its modules: transformer, pooling, and normalisation to length 1. `length`: maximum
    number of tokens of a text, including special tokens."""
    modules = [
        {
            "idx": number,
            "name": str(number),
            "path": path,
            "type": f"sentence_transformers.models.{path.partition('_')[2] or 'Transformer'}",
        }
        for number, path in enumerate(MODULES)
    ]
    write_text(folder / "modules.json", json.dumps(modules, indent=2))
    write_json(folder / "sentence_bert_config.json", {"max_seq_length": length, "do_lower_case": False})
    write_json(folder / "config_sentence_transformers.json", {"prompts": {}, "similarity_fn_name": "cosine"})
    for path in MODULES[1:]:
        (folder / path).mkdir()
    write_json(
        folder / "1_Pooling" / "config.json",
        {
            "word_embedding_dimension": width,
            "pooling_mode_cls_token": pooling == "first",
            "pooling_mode_mean_tokens": pooling == "mean",
            "pooling_mode_max_tokens": False,
            "pooling_mode_mean_sqrt_len_tokens": False,
        },
    )
