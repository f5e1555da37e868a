"""Conversion of a Hugging Face config.json to ours, and back."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Literal

from kepipe.models.config import Activation, TransformerConfig
from kepipe.models.config_values import LARGEST, as_written, require_size
from kepipe.models.hf.dialects import dialect_of
from kepipe.models.hf.tables import Port, port_of

ACTIVATIONS: Mapping[str, Activation] = {
    "gelu": "gelu",
    "gelu_new": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "relu": "relu",
}
"""Their name → ours; for writing, the first of several is used."""
_OPTIONAL = ("dropout", "attention_dropout", "decoder_layers")


def release_of(theirs: Mapping[str, Any]) -> Literal["thunlp", "uer"] | None:
    """The module that loads the release to which a config.json belongs: ERNIE (Tsinghua) is recognised by its kinds of
    layers, K-BERT by UER's names. None: Hugging Face's own format."""
    if "layer_types" in theirs and theirs.get("model_type", "bert") == "bert":
        return "thunlp"
    return "uer" if "layers_num" in theirs and "heads_num" in theirs else None


def find_port(theirs: Mapping[str, Any]) -> Port:
    """The table for their config. Raises ValueError for a setting that the family's row does not support."""
    kind = str(theirs.get("model_type", "bert"))
    port = port_of(kind, gated="gated" in str(theirs.get("feed_forward_proj", "")))
    for name, allowed in port.required.items():
        if name in theirs and theirs[name] not in allowed:
            raise ValueError(
                f"{name} is {as_written(theirs[name])}; kepipe's {kind} knows {as_written(allowed[0])} only"
            )
    return port


def heads(names: Collection[str], port: Port) -> dict[str, Any]:
    """The heads, which only the names of the weights tell."""
    return {
        "pooler": not {f"{port.prefix}pooler.dense.weight", "pooler.dense.weight"}.isdisjoint(names),
        "next_sentence": "cls.seq_relationship.weight" in names,
    }


def to_ours(theirs: Mapping[str, Any], port: Port) -> dict[str, Any]:
    """Values of `TransformerConfig`, except for what only the weights tell (tied or not, pooler, next sentence)."""
    dialect = dialect_of(port.model_type)
    values = {**dialect.defaults, **theirs}
    made: dict[str, Any] = {"family": port.model_type, **port.fixed}
    for ours, name in port.settings.items():
        if name in values:
            made[ours] = value = values[name]
            absent = value is None and (ours in _OPTIONAL or dialect.defaults.get(name, 0) is None)
            if ours in LARGEST and not absent:
                require_size(name, value, LARGEST[ours], least=1 if ours == "positions" else 0)
        elif ours not in _OPTIONAL:
            raise ValueError(f"`{name}` is missing")
    dialect.read(values, made)
    made["activation"] = activation_of(made["activation"])
    return made


def activation_of(theirs: Any) -> Activation:
    """Our name of an activation. Raises ValueError for one that kepipe does not have."""
    if not isinstance(theirs, str) or theirs not in ACTIVATIONS:
        raise ValueError(f"activation {as_written(theirs)}; known: {', '.join(ACTIVATIONS)}")
    return ACTIVATIONS[theirs]


def to_theirs(config: TransformerConfig, port: Port) -> dict[str, Any]:
    """Their config.json. Raises ValueError for a model that the family cannot express in their format."""
    for name, value in port.fixed.items():
        if getattr(config, name) != value:
            raise ValueError(
                f"{config.family} with {name} = {getattr(config, name)!r} has no form at Hugging Face, "
                f"whose {port.model_type} has {value!r}"
            )
    if config.tasks:
        raise ValueError(f"task embeddings have no form in Hugging Face's {port.model_type}")
    if config.label_heads:
        raise ValueError(
            f"heads of pretraining ({', '.join(config.label_heads)}) have no form in Hugging Face's {port.model_type}"
        )
    theirs: dict[str, Any] = {theirs: getattr(config, ours) for ours, theirs in port.settings.items()}
    activation = next(name for name, ours in ACTIVATIONS.items() if ours == config.activation)
    if "activation" in port.settings:
        theirs[port.settings["activation"]] = activation
    dialect = dialect_of(port.model_type)
    dialect.write(config, activation, theirs)
    return {
        "architectures": [dialect.architecture(config)],
        "model_type": port.model_type,
        "tie_word_embeddings": config.tied,
        **theirs,
    }
