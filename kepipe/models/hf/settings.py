"""A Hugging Face config.json as ours, and ours as one of theirs."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Literal

from kepipe.models.config import TransformerConfig
from kepipe.models.hf.tables import ACTIVATIONS, Port, port_of

_THEIR_DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    # transformers leaves out of a config.json what equals its default
    "bert": {"pad_token_id": 0, "type_vocab_size": 2, "hidden_act": "gelu", "layer_norm_eps": 1e-12},
    "roberta": {"pad_token_id": 1, "type_vocab_size": 2, "hidden_act": "gelu", "layer_norm_eps": 1e-12},
    "gpt2": {
        "activation_function": "gelu_new",
        "layer_norm_epsilon": 1e-5,
        "n_inner": None,
        "pad_token_id": None,
        "eos_token_id": 50256,
    },
    "bart": {"activation_function": "gelu", "pad_token_id": 1, "decoder_start_token_id": 2},
    "t5": {
        "feed_forward_proj": "relu",
        "layer_norm_epsilon": 1e-6,
        "pad_token_id": 0,
        "decoder_start_token_id": 0,
        "relative_attention_num_buckets": 32,
        "relative_attention_max_distance": 128,
    },
}
_OPTIONAL = ("dropout", "attention_dropout", "decoder_layers")
_ARCHITECTURES = {
    "roberta": "RobertaForMaskedLM",
    "gpt2": "GPT2LMHeadModel",
    "bart": "BartForConditionalGeneration",
    "t5": "T5ForConditionalGeneration",
}


def release_of(theirs: Mapping[str, Any]) -> Literal["thunlp", "uer"] | None:
    """The module that ports the release which a config.json is of: ERNIE (Tsinghua)'s says of what kind each layer is,
    K-BERT's has UER's names. None: Hugging Face's own."""
    if "layer_types" in theirs and theirs.get("model_type", "bert") == "bert":
        return "thunlp"
    return "uer" if "layers_num" in theirs and "heads_num" in theirs else None


def find_port(file: Path, theirs: Mapping[str, Any]) -> Port:
    """The table for their config. Raises ValueError where it asks for something the family's row does not have."""
    kind = str(theirs.get("model_type", "bert"))
    try:
        port = port_of(kind, gated="gated" in str(theirs.get("feed_forward_proj", "")))
    except ValueError as error:
        raise ValueError(f"{file}: {error}") from None
    for name, allowed in port.required.items():
        if name in theirs and theirs[name] not in allowed:
            raise ValueError(f"{file}: {name} is {theirs[name]!r}; kepipe's {kind} knows {allowed[0]!r} only")
    return port


def heads(names: Collection[str], port: Port) -> dict[str, Any]:
    """What only the names of the weights tell: which heads there are."""
    return {
        "pooler": not {f"{port.prefix}pooler.dense.weight", "pooler.dense.weight"}.isdisjoint(names),
        "next_sentence": "cls.seq_relationship.weight" in names,
    }


def to_ours(file: Path, theirs: Mapping[str, Any], port: Port) -> dict[str, Any]:
    """Values of `TransformerConfig`, but for what only the weights tell (tied or not, pooler, next sentence)."""
    values = {**_THEIR_DEFAULTS[port.model_type], **theirs}
    made: dict[str, Any] = {"family": port.model_type, **port.fixed}
    for ours, name in port.settings.items():
        if name in values:
            made[ours] = values[name]
        elif ours not in _OPTIONAL:
            raise ValueError(f"{file}: `{name}` is missing")
    if port.model_type == "gpt2":
        made["feedforward"] = made["feedforward"] or 4 * made["hidden"]
        # GPT-2 was trained without padding: rows that have ended are filled up with the token that ends them
        ends = (made.pop("pad"), values["eos_token_id"])
        made["pad"] = next((id for id in ends if isinstance(id, int) and id < made["vocabulary"]), 0)
    if port.model_type == "roberta":
        made["positions"] -= made["position_offset"]
    if port.model_type == "bart":
        made["embedding_scale"] = made["hidden"] ** 0.5 if values.get("scale_embedding") else 1.0
        _same(file, values, "encoder_attention_heads", "decoder_attention_heads")
        _same(file, values, "encoder_ffn_dim", "decoder_ffn_dim")
    if port.model_type == "t5":
        gated, _, activation = str(values["feed_forward_proj"]).rpartition("-")
        # T5's released "gated-gelu" is the tanh form
        made["gated"] = bool(gated)
        made["activation"] = "gelu_new" if gated and activation == "gelu" else activation
        # transformers 5 writes `tie_word_embeddings: true` for models that do not scale, and says so beside it
        scaled = values.get("tie_word_embeddings", True) is not False
        made["tied_scale"] = values.get("scale_decoder_outputs", scaled)
        made["decoder_layers"] = values.get("num_decoder_layers") or made["encoder_layers"]
    if made["activation"] not in ACTIVATIONS:
        raise ValueError(f"{file}: activation {made['activation']!r}; known: {', '.join(ACTIVATIONS)}")
    made["activation"] = ACTIVATIONS[made["activation"]]
    return made


def to_theirs(config: TransformerConfig, port: Port) -> dict[str, Any]:
    """Their config.json. Raises ValueError for a model that the family cannot express there."""
    for name, value in port.fixed.items():
        if getattr(config, name) != value:
            raise ValueError(
                f"{config.family} with {name} = {getattr(config, name)!r} has no form at Hugging Face, "
                f"whose {port.model_type} has {value!r}"
            )
    if config.tasks:
        raise ValueError(f"task embeddings have no form in Hugging Face's {port.model_type}")
    theirs: dict[str, Any] = {theirs: getattr(config, ours) for ours, theirs in port.settings.items()}
    activation = next(name for name, ours in ACTIVATIONS.items() if ours == config.activation)
    if port.model_type == "t5":
        gelu = "gelu" if config.gated and activation == "gelu_new" else activation
        theirs |= {
            "d_kv": config.head_width,
            "feed_forward_proj": f"gated-{gelu}" if config.gated else gelu,
            "dropout_rate": config.dropout,
        }
    else:
        theirs[port.settings["activation"]] = activation
    if port.model_type == "roberta":
        theirs["max_position_embeddings"] += config.position_offset
    if port.model_type == "gpt2":
        theirs["embd_pdrop"] = config.dropout
    if port.model_type == "bart":
        theirs |= {
            "decoder_attention_heads": config.heads,
            "decoder_ffn_dim": config.feedforward,
            "scale_embedding": config.embedding_scale != 1.0,
        }
    masked = "BertForPreTraining" if config.next_sentence else "BertForMaskedLM"
    return {
        "architectures": [_ARCHITECTURES.get(port.model_type, masked)],
        "model_type": port.model_type,
        # for T5 this flag says at Hugging Face whether the output is scaled
        "tie_word_embeddings": config.tied_scale if port.model_type == "t5" else config.tied,
        **theirs,
    }


def _same(file: Path, values: Mapping[str, Any], one: str, other: str) -> None:
    if values.get(one) != values.get(other):
        raise ValueError(
            f"{file}: {one} is {values.get(one)}, {other} {values.get(other)}; kepipe needs them equal"
        )
