"""Files of a model folder, each written whole or not at all: under another name, forced to disk, renamed."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from kepipe.flow.artifact import MANIFEST, RECORD

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


def write_whole(file: Path, write: Callable[[Path], None]) -> None:
    """Call `write` with a path beside `file` and rename that to `file`.

    Raises OSError naming the file (a full disk, a limit); the file that was there before is left as it was.
    """
    unfinished = file.with_name(f".{file.name}.unfinished")
    try:
        write(unfinished)
        with unfinished.open("rb+") as stream:
            os.fsync(stream.fileno())
        unfinished.replace(file)
    except (OSError, SafetensorError) as error:
        unfinished.unlink(missing_ok=True)
        raise OSError(f"{file}: cannot be written ({error}); what was there before is untouched") from error


def write_tensors(file: Path, tensors: Mapping[str, Tensor]) -> None:
    """Safetensors; the same tensors give the same bytes, in whatever order they come."""
    ordered = {name: tensors[name].detach().cpu().contiguous() for name in sorted(tensors)}
    write_whole(file, lambda path: save_file(ordered, path, metadata={"format": "pt"}))


def write_json(file: Path, value: Mapping[str, Any]) -> None:
    """UTF-8 JSON with sorted keys."""
    text = json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
    write_whole(file, partial(_write_bytes, text.encode()))


def share(source: Path, target: Path) -> None:
    """Have a file at a second place: a hard link, or a copy where the file system has none."""
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    try:
        os.link(source, target)
    except OSError:  # another file system, or one without links
        shutil.copyfile(source, target)


def link_folder(source: Path, target: Path) -> None:
    """Have the files of an artifact's folder at a second place too: linked where the file system can, else copied."""
    for file in sorted(source.rglob("*")):
        inside = file.relative_to(source)
        if file.is_file() and inside.parts[0] not in (MANIFEST, RECORD):
            share(file, target / inside)


def copy_tokenizer(source: Path, target: Path) -> None:
    """Copy a tokenizer's files. Raises ValueError where `source` has none."""
    found = [name for name in TOKENIZER_FILES if (source / name).is_file()]
    if not found:
        raise ValueError(f"{source}: holds no tokenizer (expected tokenizer.json, vocab.txt, …)")
    for name in found:
        write_whole(target / name, partial(_write_bytes, (source / name).read_bytes()))


def _write_bytes(content: bytes, path: Path) -> None:
    path.write_bytes(content)
