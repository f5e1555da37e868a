"""Load a Hugging Face folder as a `Transformer`, and save a folder that `AutoModel…from_pretrained` opens."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from kepipe.models.assemble import assemble, initialise, without_fusion
from kepipe.models.config import TransformerConfig
from kepipe.models.config_values import located
from kepipe.models.files import copy_tokenizer, read_tensors, write_json, write_tensors
from kepipe.models.hf import rows, settings
from kepipe.models.hf.tables import Port, port_of
from kepipe.models.transformer import Transformer
from kg.regular_files import read_json

CONFIG, WEIGHTS, INDEX = "config.json", "model.safetensors", "model.safetensors.index.json"

_NORM = {"gamma": "weight", "beta": "bias"}


@dataclass(frozen=True)
class Ported:
    """A loaded model. `missing`: weights that the folder lacked; `unused`: weights of the folder that the model does
    not have."""

    model: Transformer
    missing: tuple[str, ...]
    unused: tuple[str, ...]


def load(folder: Path, seed: int = 0) -> Ported:
    """The model of a local Hugging Face folder, on the CPU in fp32.

    Missing weights (a BERT without its vocabulary layer) are initialised with `seed`. Raises ValueError, naming file
    and key, for an unsupported family or setting, for weights that are not safetensors, and for weights whose shape
    differs from the config.
    """
    file = folder / CONFIG
    try:
        theirs = read_json(file)
    except (OSError, ValueError) as error:
        raise ValueError(f"{file}: no readable config of a model ({error})") from None
    with located(file):
        port = settings.find_port(theirs)
        values = settings.to_ours(theirs, port)
    weights = modern(read(folder), port)
    with located(file):
        config = configure(values, weights, port)
    model = initialise(assemble(config), seed)
    weights = _with_own_bias(
        weights, port, tied=model.config.tied and theirs.get("tie_word_embeddings") is not False
    )
    found, lacking, unused = rows.to_ours(port.weights, dict(model.named_parameters()), weights)
    rows.load_into(model, found, folder, CONFIG)
    copies = {port.output} if model.config.tied else set()
    real = [name for name in unused if name not in copies and not name.endswith(port.ignored)]
    return Ported(model, tuple(lacking), tuple(real))


def save(
    folder: Path, model: Transformer, tokenizer: Path | None = None, ids: Mapping[str, int] | None = None
) -> None:
    """Write config.json, with the tokenizer's `ids`, model.safetensors and optionally the files of a tokenizer's
    folder.

    Raises ValueError for a model without a Hugging Face form (post-norm GPT, task embeddings). For a model that fuses
    entities, only the token encoder is written, as a plain BERT or RoBERTa; `kepipe.models.hf.auto` saves the whole
    model.
    """
    if model.config.fusion is not None:
        model = without_fusion(model)
    config = model.config
    port = port_of(config.family, config.gated)
    theirs = settings.to_theirs(config, port)
    folder.mkdir(parents=True, exist_ok=True)
    weights = rows.to_theirs(
        port.weights, {name: value.detach().cpu() for name, value in model.named_parameters()}
    )
    if port.own_bias is not None and not config.tied:
        own, usual = port.own_bias
        weights[own] = weights[usual].clone()
    write_tensors(folder / WEIGHTS, weights)
    write_json(folder / CONFIG, {**theirs, **(ids or {})})
    if tokenizer is not None:
        copy_tokenizer(tokenizer, folder)


def model_type(config: TransformerConfig) -> str:
    """The `model_type` of a config. Raises ValueError if it has no Hugging Face form."""
    return str(settings.to_theirs(config, port_of(config.family, config.gated))["model_type"])


def read(folder: Path) -> dict[str, Tensor]:
    """All tensors of a folder, in one file or in the files listed in its index."""
    weights: dict[str, Tensor] = {}
    for file in weight_files(folder):
        if not file.exists():
            raise ValueError(f"{file}: no such file. Weights are read from safetensors only, never unpickled")
        weights.update(read_tensors(file))
    return weights


def weight_files(folder: Path) -> list[Path]:
    """The files of a folder's weights, whether they are there or not: those of its index, or else one.

    Raises ValueError for a damaged index.
    """
    index = folder / INDEX
    return [folder / name for name in _files_named(index)] if index.exists() else [folder / WEIGHTS]


def _files_named(index: Path) -> list[str]:
    """The files of weights listed in an index. Raises ValueError for a name that leads out of the folder."""
    listed = read_json(index)
    weights = listed.get("weight_map") if isinstance(listed, dict) else None
    names: list[Any] = list(weights.values()) if isinstance(weights, dict) else [None]
    for name in names:
        if not isinstance(name, str) or Path(name).name != name or not name.endswith(".safetensors"):
            raise ValueError(
                f"{index}: `weight_map`: expected names of .safetensors files beside it, found {name!r}"
            )
    return sorted(set(names))


def modern(weights: dict[str, Tensor], port: Port) -> dict[str, Tensor]:
    """Weights under the names of current releases: gamma and beta of norms renamed, the model's prefix added if
    missing."""
    renamed = {
        re.sub(r"(LayerNorm\w*)\.(gamma|beta)$", lambda found: f"{found[1]}.{_NORM[found[2]]}", name): value
        for name, value in weights.items()
    }
    heads = tuple(
        theirs for row in port.weights for theirs in row.theirs if not theirs.startswith(port.prefix)
    )
    if any(name.startswith(port.prefix) for name in renamed):
        return renamed
    return {name if name.startswith(heads) else port.prefix + name: value for name, value in renamed.items()}


def _with_own_bias(weights: dict[str, Tensor], port: Port, *, tied: bool) -> dict[str, Tensor]:
    """In a model without tied weights, the bias of the logits is that of the output layer, even if another one is
    stored."""
    if tied or port.own_bias is None or port.own_bias[0] not in weights:
        return weights
    own, usual = port.own_bias
    return {**weights, usual: weights[own]}


def configure(values: dict[str, Any], weights: dict[str, Tensor], port: Port) -> TransformerConfig:
    """The config, with what only the weights tell: which heads exist, and whether the output matrix is tied."""
    tokens = weights.get(next(row for row in port.weights if row.ours == "tokens").theirs[0] + ".weight")
    output = weights.get(port.output)
    tied = output is None or (tokens is not None and torch.equal(tokens, output))
    return TransformerConfig(**values, tied=tied, **settings.heads(weights, port))
