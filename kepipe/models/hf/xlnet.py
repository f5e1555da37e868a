"""XLNet in Hugging Face's format: conversion of config and weights in both directions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kepipe.models.config_values import LARGEST, as_written, located, require_size
from kepipe.models.hf.settings import ACTIVATIONS, activation_of
from kepipe.models.networks.xlnet_config import XLNetConfig
from kg.regular_files import read_json

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch import Tensor

    from kepipe.models.networks.network import Network
    from kepipe.tokenization.tokenizer import Tokenizer

CONFIG, WEIGHTS = "config.json", "model.safetensors"
MODEL_TYPE = "xlnet"
PREFIX = "transformer."
SIZES = {
    "vocabulary": "vocab_size", "hidden": "d_model", "layers": "n_layer", "heads": "n_head", "feedforward": "d_inner",
}  # fmt: skip
"""Our name → theirs."""
NONE_IS_ZERO = {"memory": "mem_len", "reuse": "reuse_len", "clamp": "clamp_len"}
DEFAULTS: Mapping[str, Any] = {
    "vocab_size": 32000,
    "d_model": 1024,
    "n_layer": 24,
    "n_head": 16,
    "d_inner": 4096,
    "ff_activation": "gelu",
    "attn_type": "bi",
    "layer_norm_eps": 1e-12,
    "same_length": False,
    "mem_len": 512,
}
"""Default values of their config."""
PROJECTIONS = {"query": "q", "key": "k", "value": "v", "position": "r"}
AS_THEY_ARE = {
    "content_query": "r_w_bias",
    "position_query": "r_r_bias",
    "segment_query": "r_s_bias",
    "segments": "seg_embed",
}
MODULES = {
    "attention_norm": "rel_attn.layer_norm", "mlp_norm": "ff.layer_norm", "mlp.up_proj": "ff.layer_1",
    "mlp.down_proj": "ff.layer_2",
}  # fmt: skip


def read_config(folder: Path) -> XLNetConfig:
    """The config of a folder. Raises ValueError, naming the file, for settings that kepipe does not support."""
    file = folder / CONFIG
    try:
        theirs = read_json(file)
    except (OSError, ValueError) as error:
        raise ValueError(f"{file}: no readable config of a model ({error})") from None
    with located(file):
        values = {**DEFAULTS, **theirs}
        if values["attn_type"] not in ("bi", "uni"):
            raise ValueError(f"`attn_type`: expected bi, uni, found {as_written(values['attn_type'])}")
        for ours, name in SIZES.items():
            require_size(name, values[name], LARGEST[ours], least=1)
        uni = values["attn_type"] == "uni"
        return XLNetConfig(
            family="transformer-xl" if uni else "xlnet",
            embedding=values["d_model"],
            causal_attention=uni,
            activation=activation_of(values["ff_activation"]),
            norm_eps=float(values["layer_norm_eps"]),
            same_length=bool(values["same_length"]),
            **{ours: values[theirs] for ours, theirs in SIZES.items()},
            **{ours: max(0, values.get(theirs) or 0) for ours, theirs in NONE_IS_ZERO.items()},
        )


def load(folder: Path, dropout: float, seed: int, note: Callable[[str], None]) -> Network:
    """The model of a folder, on the CPU in fp32 in evaluation mode. `note` is called with messages about missing
    weights, which are initialised with `seed`, and about unused ones.

    Raises ValueError for weights that are not safetensors, or whose shape differs from the config.
    """
    from kepipe.models.hf import huggingface, rows
    from kepipe.models.networks.families import assemble
    from kepipe.models.pretrained import several

    config = replace(read_config(folder), dropout=dropout)
    model = assemble(config).initialise(seed)
    theirs = huggingface.read(folder)
    if not any(name.startswith(PREFIX) for name in theirs):
        theirs = {PREFIX + name: value for name, value in theirs.items()}
    named = {ours: name for ours in dict(model.named_parameters()) if (name := _their_name(ours)) in theirs}
    found = {ours: _as_ours(ours, theirs[name].float(), folder) for ours, name in named.items()}
    rows.load_into(model, found, folder, CONFIG)
    missing = [ours for ours, _ in model.named_parameters() if ours not in found]
    copies = {"lm_loss.weight", f"{PREFIX}mask_emb"}
    unused = sorted(theirs.keys() - set(named.values()) - copies)
    if missing:
        note(f"{folder} lacks {several(missing)}: initialised randomly")
    if unused:
        note(f"{folder}: unused weights: {several(unused)}")
    return model.eval()


def save(folder: Path, model: Network, tokenizer: Tokenizer) -> None:
    """Write config.json, with the tokenizer's ids, and model.safetensors, for `XLNetLMHeadModel`."""
    import torch

    from kepipe.models.files import write_json, write_tensors

    config = model.config
    assert isinstance(config, XLNetConfig)
    ours = {name: value.detach().cpu() for name, value in model.named_parameters()}
    ours.setdefault("query", torch.zeros(config.hidden))  # unused in a model that reads from the left
    theirs = {_their_name(name): _as_theirs(name, value, config) for name, value in ours.items()}
    folder.mkdir(parents=True, exist_ok=True)
    write_tensors(folder / WEIGHTS, theirs)
    write_json(folder / CONFIG, {**to_theirs(config), **_ids(tokenizer)})


def export(source: Path, folder: Path, model: Network) -> None:
    """`save`, and the tokenizer of the folder `source`, which adds the end token after each text, as in training."""
    from kepipe.models.files import copy_tokenizer, write_json
    from kepipe.models.hf.export import framed
    from kepipe.tokenization.tokenizer import load_tokenizer

    tokenizer = load_tokenizer(source)
    save(folder, model, tokenizer)
    copy_tokenizer(source, folder)
    write_json(folder / "tokenizer.json", framed(tokenizer, "$A sep", "$A sep $B:1 sep:1"))


def to_theirs(config: XLNetConfig) -> dict[str, Any]:
    """Their config.json."""
    return {
        "architectures": ["XLNetLMHeadModel"],
        "model_type": MODEL_TYPE,
        "attn_type": "uni" if config.causal_attention else "bi",
        "d_head": config.hidden // config.heads,
        "ff_activation": next(name for name, ours in ACTIVATIONS.items() if ours == config.activation),
        "layer_norm_eps": config.norm_eps,
        "same_length": config.same_length,
        "dropout": config.dropout,
        "mem_len": config.memory or None,
        "reuse_len": config.reuse or None,
        "clamp_len": config.clamp or -1,
        "tie_word_embeddings": True,
        **{theirs: getattr(config, ours) for ours, theirs in SIZES.items()},
    }


def _ids(tokenizer: Tokenizer) -> Mapping[str, int]:
    roles = {"pad_token_id": "pad", "bos_token_id": "cls", "eos_token_id": "sep"}
    return {name: tokenizer.role(role) for name, role in roles.items() if role in tokenizer.named}


def _their_name(ours: str) -> str:
    """Their name of a weight."""
    outside = {
        "tokens.weight": f"{PREFIX}word_embedding.weight",
        "query": f"{PREFIX}mask_emb",
        "head.bias": "lm_loss.bias",
    }
    if ours in outside:
        return outside[ours]
    _, number, rest = ours.split(".", 2)
    layer = f"{PREFIX}layer.{number}."
    part, _, kind = rest.rpartition(".")
    if part in MODULES:
        return f"{layer}{MODULES[part]}.{kind}"
    name = rest.removeprefix("attention.").removesuffix(".weight")
    return f"{layer}rel_attn.{ {**PROJECTIONS, **AS_THEY_ARE, 'output': 'o'}[name] }"


def _as_ours(ours: str, value: Tensor, folder: Path) -> Tensor:
    """Their weight as ours: a projection to heads is [D, H, W] in their format."""
    kind = _projection(ours)
    if kind and value.ndim != 3:
        raise ValueError(f"{folder}: {_their_name(ours)} is {tuple(value.shape)}; expected three axes")
    if kind == "in":
        return value.flatten(1).t().contiguous()
    if kind == "out":
        return value.flatten(1).contiguous()
    return value.flatten() if _is_vector(ours) else value


def _as_theirs(ours: str, value: Tensor, config: XLNetConfig) -> Tensor:
    """The inverse of `_as_ours`."""
    kind = _projection(ours)
    heads = (config.hidden, config.heads, config.hidden // config.heads)
    if kind == "in":
        return value.t().reshape(heads).contiguous()
    if kind == "out":
        return value.reshape(heads).contiguous()
    if _is_vector(ours):
        return value.reshape((1, 1, -1) if ours == "query" else heads[1:])
    return value


def _is_vector(ours: str) -> bool:
    """Whether a weight is a vector in our format, and has two axes in theirs."""
    return ours == "query" or (ours.endswith("_query") and ".attention." in ours)


def _projection(ours: str) -> str:
    """Whether a weight projects to heads ("in") or from them ("out"); otherwise empty."""
    name = ours.partition(".attention.")[2].removesuffix(".weight")
    return "in" if name in PROJECTIONS else "out" if name == "output" else ""
