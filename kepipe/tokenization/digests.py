"""Digests of the files of a local tokenizer."""

from __future__ import annotations

from pathlib import Path

from kepipe.flow.source_digests import digest_source
from kepipe.model_names import MINILM, minilm_folder

FILES = ("tokenizer.json", "tokenizer_config.json", "vocab.txt", "vocab.json", "merges.txt")


def tokenizer_digests(source: str) -> dict[str, str]:
    """File → digest, for a tokenizer's folder, a vocabulary file, or `minilm`; empty for a hub id."""
    path = minilm_folder() if source == MINILM else Path(source)
    if path.is_file():
        return {path.name: digest_source(path)}
    return {name: digest_source(path / name) for name in FILES if (path / name).is_file()}
