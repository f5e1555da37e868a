"""A model folder: `config.json`, `model.safetensors`, a tokenizer, and `kepipe.json`, which says what made it.

Knowledge that goes with the model lies beside them (`Knowledge.save`): `knowledge.json`, and what that names.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

import torch

from kepipe.models.assemble import assemble
from kepipe.models.config import CONFIG, read_config
from kepipe.models.files import copy_tokenizer, read_tensors, write_json, write_tensors
from kepipe.models.protocols import TrainableEncoder
from kepipe.models.transformer import Transformer
from kg.regular_files import read_json

WEIGHTS, PROVENANCE = "model.safetensors", "kepipe.json"
EncoderT = TypeVar("EncoderT", bound=TrainableEncoder)


def save(
    folder: Path,
    model: TrainableEncoder,
    *,
    tokenizer: Path | None = None,
    provenance: Mapping[str, Any] | None = None,
) -> None:
    """Write the folder. Each file appears whole; the same weights give the same bytes.

    `tokenizer` is a folder whose tokenizer files are copied. Raises OSError naming the file that could not be written,
    leaving the one before it intact.
    """
    folder.mkdir(parents=True, exist_ok=True)
    weights = {name: value.detach().float() for name, value in model.named_parameters()}
    write_tensors(folder / WEIGHTS, weights)
    write_json(folder / CONFIG, {"format": model.config.format, **model.config.to_json()})
    if tokenizer is not None:
        copy_tokenizer(tokenizer, folder)
    write_json(folder / PROVENANCE, provenance or {})


def load(folder: Path, device: str = "cpu") -> Transformer:
    """The transformer of a folder, in evaluation mode. Raises ValueError where files are missing or do not fit each
    other."""
    return load_weights(folder, assemble(read_config(folder)), device)


def load_weights(folder: Path, model: EncoderT, device: str = "cpu") -> EncoderT:
    """A model that was made by the folder's config with the weights of the folder, in evaluation mode.

    Raises ValueError where these are missing or do not fit the config.
    """
    file = folder / WEIGHTS
    weights = read_tensors(file, device)
    expected = {name: value.shape for name, value in model.named_parameters()}
    different = sorted(
        name
        for name in expected.keys() | weights.keys()
        if name not in expected or name not in weights or expected[name] != weights[name].shape
    )
    if different:
        raise ValueError(
            f"{file}: does not fit {CONFIG} beside it; missing, added or of another shape: {different[:3]}"
        )
    with torch.no_grad():
        model.load_state_dict(weights, assign=True)
    return model.eval()


def read_provenance(folder: Path) -> dict[str, Any]:
    """What made the model, as its maker stated it. Empty for a folder that is not kepipe's."""
    file = folder / PROVENANCE
    provenance: dict[str, Any] = read_json(file) if file.is_file() else {}
    return provenance
