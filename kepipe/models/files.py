"""Reading and writing files of a model folder, atomically (`kepipe.files`)."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from kepipe.files import copy_file, write_file, write_text
from kg.regular_files import require_regular

TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "vocab.txt",
    "vocab.json",
    "merges.txt",
    "spiece.model",
)


def write_tensors(file: Path, tensors: Mapping[str, Tensor]) -> None:
    """Safetensors; the same tensors give the same bytes, in whatever order they come."""
    ordered = {name: tensors[name].detach().cpu().contiguous() for name in sorted(tensors)}

    def save(path: Path) -> None:
        try:
            save_file(ordered, path, metadata={"format": "pt"})
        except SafetensorError as error:  # a full disk
            raise OSError(str(error)) from error

    write_file(file, save)


def read_tensors(file: Path, device: str = "cpu") -> dict[str, Tensor]:
    """What a file of safetensors holds. Raises ValueError for one that is missing, damaged or no file, and for weights
    that are infinite or no numbers: all that a model computes by them would be none either."""
    try:
        require_regular(file)
        loaded: dict[str, Tensor] = load_file(file, device=device)
    except (OSError, SafetensorError) as error:
        raise ValueError(f"{file}: no readable weights ({error})") from None
    bad = sorted(
        name for name, value in loaded.items() if value.is_floating_point() and not value.isfinite().all()
    )
    if bad:
        more = f" and {len(bad) - 1} more" if len(bad) > 1 else ""
        raise ValueError(
            f"{file}: {bad[0]!r}{more} of {len(loaded)} weights hold values that are infinite or no numbers: the "
            f"model's training went wrong, or the file is damaged"
        )
    return loaded


def write_json(file: Path, value: Mapping[str, Any]) -> None:
    """UTF-8 JSON with sorted keys."""
    text = json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    write_text(file, text)


def copy_tokenizer(source: Path, target: Path) -> None:
    """Copy a tokenizer's files. Raises ValueError where `source` has none."""
    found = [name for name in TOKENIZER_FILES if (source / name).is_file()]
    if not found:
        raise ValueError(f"{source}: holds no tokenizer (expected tokenizer.json, vocab.txt, …)")
    for name in found:
        copy_file(source / name, target / name)
