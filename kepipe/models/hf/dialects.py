"""The table of what is specific to each family in Hugging Face's format: config, special tokens, templates of rows.

Settings and weights that are only renamed are in `kepipe.models.hf.tables`. Neither module imports torch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kepipe.models.config_values import LARGEST, require_size
from kepipe.models.families import RotaryConfig

if TYPE_CHECKING:
    from kepipe.models.config import TransformerConfig


@dataclass(frozen=True)
class Dialect:
    """A row of the table."""

    defaults: Mapping[str, Any]
    """Default values of their config: transformers omits from config.json what equals a default."""
    architecture: Callable[[TransformerConfig], str]
    """The name of their model class."""
    one: str | None
    """Template of a row with one text, as in the family's pretraining; None: the text alone."""
    two: str | None = None
    """Template of a row with two texts."""
    begins: str | None = "cls"
    """The role of the token before a text."""
    segments: bool = False
    """Whether the two texts of a row have different `token_type_ids`."""
    forces_end: bool = False
    """Whether generated text ends with the end token even if it is truncated."""
    read: Callable[[Mapping[str, Any], dict[str, Any]], None] = lambda *_: None
    """(their values, our values): corrects our values. Raises ValueError for settings that kepipe does not
    support."""
    write: Callable[[TransformerConfig, str, dict[str, Any]], None] = lambda *_: None
    """(our config, their name of the activation, their values): corrects their values."""


def _read_roberta(_values: Mapping[str, Any], ours: dict[str, Any]) -> None:
    # their positions start after the id of the padding token
    if not isinstance(ours["pad"], int):
        raise ValueError(f"pad_token_id is {ours['pad']!r}; expected the number of a token")
    ours["position_offset"] = ours["pad"] + 1
    require_size("max_position_embeddings", ours["positions"], LARGEST["positions"], ours["pad"] + 2)
    ours["positions"] -= ours["position_offset"]


def _write_roberta(config: TransformerConfig, _: str, theirs: dict[str, Any]) -> None:
    if config.position_offset != config.pad + 1:
        raise ValueError(
            f"roberta whose positions begin at row {config.position_offset} has no form at Hugging Face, where they "
            f"begin after the padding token, {config.pad}"
        )
    theirs["max_position_embeddings"] += config.position_offset


def _read_gpt2(values: Mapping[str, Any], ours: dict[str, Any]) -> None:
    ours["feedforward"] = ours["feedforward"] or 4 * ours["hidden"]
    # GPT-2 was trained without padding: finished rows are padded with the end token
    ends = (ours.pop("pad"), values["eos_token_id"])
    ours["pad"] = next((id for id in ends if isinstance(id, int) and id < ours["vocabulary"]), 0)


def _write_gpt2(config: TransformerConfig, _: str, theirs: dict[str, Any]) -> None:
    theirs["embd_pdrop"] = config.dropout


def _read_bart(values: Mapping[str, Any], ours: dict[str, Any]) -> None:
    ours["embedding_scale"] = ours["hidden"] ** 0.5 if values.get("scale_embedding") else 1.0
    for part in ("attention_heads", "ffn_dim"):
        encoder, decoder = (values.get(f"{stack}_{part}") for stack in ("encoder", "decoder"))
        if encoder != decoder:
            raise ValueError(
                f"encoder_{part} is {encoder}, decoder_{part} {decoder}; kepipe needs them equal"
            )


def _write_bart(config: TransformerConfig, _: str, theirs: dict[str, Any]) -> None:
    theirs |= {
        "decoder_attention_heads": config.heads,
        "decoder_ffn_dim": config.feedforward,
        "scale_embedding": config.embedding_scale != 1.0,
    }


def _read_t5(values: Mapping[str, Any], ours: dict[str, Any]) -> None:
    gated, _, activation = str(values["feed_forward_proj"]).rpartition("-")
    # "gated-gelu" of the released T5 models is the tanh approximation
    ours["gated"] = bool(gated)
    ours["activation"] = "gelu_new" if gated and activation == "gelu" else activation
    # transformers 5 writes `tie_word_embeddings: true` for models that do not scale the output, with a separate flag
    scaled = values.get("tie_word_embeddings", True) is not False
    ours["tied_scale"] = values.get("scale_decoder_outputs", scaled)
    ours["decoder_layers"] = values.get("num_decoder_layers") or ours["encoder_layers"]


def _write_t5(config: TransformerConfig, activation: str, theirs: dict[str, Any]) -> None:
    gelu = "gelu" if config.gated and activation == "gelu_new" else activation
    theirs |= {
        "d_kv": config.head_width,
        "feed_forward_proj": f"gated-{gelu}" if config.gated else gelu,
        "dropout_rate": config.dropout,
        # for Hugging Face, this flag says whether the output is scaled
        "tie_word_embeddings": config.tied_scale,
    }


_LOCAL, _GLOBAL = "sliding_attention", "full_attention"


def _read_modernbert(values: Mapping[str, Any], ours: dict[str, Any]) -> None:
    layers, every = ours["encoder_layers"], values["global_attn_every_n_layers"]
    kinds = values.get("layer_types")
    if kinds is not None:
        every = kinds.index(_GLOBAL, 1) if _GLOBAL in kinds[1:] else layers
    ropes = {
        _GLOBAL: {"rope_theta": values["global_rope_theta"]},
        _LOCAL: {"rope_theta": values["local_rope_theta"]},
        **(values.get("rope_parameters") or {}),
    }
    for kind, rope in ropes.items():
        if rope.get("rope_type", "default") != "default":
            raise ValueError(f"rope_type of {kind} is {rope['rope_type']!r}; kepipe knows 'default' only")
    ours["rotary"] = RotaryConfig(
        theta=ropes[_GLOBAL]["rope_theta"],
        local_theta=ropes[_LOCAL]["rope_theta"],
        window=values["local_attention"],
        every=every,
    )
    if kinds is not None and kinds != _layer_types(ours["rotary"], layers):
        raise ValueError(f"layer_types {kinds}: expected every n-th to be {_GLOBAL}, the first one too")


def _layer_types(rotary: RotaryConfig, layers: int) -> list[str]:
    local = rotary.local_layers(layers)
    return [_LOCAL if number in local else _GLOBAL for number in range(layers)]


def _write_modernbert(config: TransformerConfig, _: str, theirs: dict[str, Any]) -> None:
    rotary = config.rotary
    if rotary is None:
        raise ValueError("modernbert without rotary positions has no form at Hugging Face")
    theirs |= {
        "layer_types": _layer_types(rotary, config.encoder_layers),
        "rope_parameters": {
            _GLOBAL: {"rope_type": "default", "rope_theta": rotary.theta},
            _LOCAL: {"rope_type": "default", "rope_theta": rotary.local_theta},
        },
        "local_attention": rotary.window,
        "embedding_dropout": config.dropout,
    }


_BERT = {"type_vocab_size": 2, "hidden_act": "gelu", "layer_norm_eps": 1e-12}

DIALECTS: Mapping[str, Dialect] = {
    "bert": Dialect(
        {**_BERT, "pad_token_id": 0},
        lambda config: "BertForPreTraining" if config.next_sentence else "BertForMaskedLM",
        "cls $A sep",
        "cls $A sep $B:1 sep:1",
        segments=True,
    ),
    "roberta": Dialect(
        {**_BERT, "pad_token_id": 1},
        lambda _: "RobertaForMaskedLM",
        "cls $A sep",
        "cls $A sep $B sep",
        read=_read_roberta,
        write=_write_roberta,
    ),
    "modernbert": Dialect(
        {
            "hidden_activation": "gelu",
            "norm_eps": 1e-5,
            "pad_token_id": 50283,
            "local_attention": 128,
            "global_attn_every_n_layers": 3,
            "global_rope_theta": 160_000.0,
            "local_rope_theta": 10_000.0,
        },
        lambda _: "ModernBertForMaskedLM",
        "cls $A sep",
        "cls $A sep $B sep",
        read=_read_modernbert,
        write=_write_modernbert,
    ),
    "gpt2": Dialect(
        {
            "activation_function": "gelu_new",
            "layer_norm_epsilon": 1e-5,
            "n_inner": None,
            "pad_token_id": None,
            "eos_token_id": 50256,
        },
        lambda _: "GPT2LMHeadModel",
        one=None,
        begins="sep",  # the end of another text
        read=_read_gpt2,
        write=_write_gpt2,
    ),
    "bart": Dialect(
        {"activation_function": "gelu", "pad_token_id": 1, "decoder_start_token_id": 2},
        lambda _: "BartForConditionalGeneration",
        "cls $A sep",
        forces_end=True,
        read=_read_bart,
        write=_write_bart,
    ),
    "t5": Dialect(
        {
            "feed_forward_proj": "relu",
            "layer_norm_epsilon": 1e-6,
            "pad_token_id": 0,
            "decoder_start_token_id": 0,
            "relative_attention_num_buckets": 32,
            "relative_attention_max_distance": 128,
        },
        lambda _: "T5ForConditionalGeneration",
        "$A sep",
        begins=None,
        read=_read_t5,
        write=_write_t5,
    ),
}


def dialect_of(family: str) -> Dialect:
    """The row of a family. Raises ValueError for a family without a Hugging Face form."""
    if family not in DIALECTS:
        raise ValueError(f"model type {family!r} is not one kepipe can port; known: {', '.join(DIALECTS)}")
    return DIALECTS[family]
