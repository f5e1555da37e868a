"""The names of each family's weights and settings in Hugging Face's format."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from kepipe.models.hf.rows import Row, row


@dataclass(frozen=True)
class Port:
    """A family in Hugging Face's format.

    `settings`: our config key → theirs. `fixed`: parts that are constant in the family. `prefix`: prefix of the
    encoder's names in a model with a head; may be absent. `output`: their name of an output matrix that is not tied.
    `own_bias`: their names of its bias, and of the bias of tied models. `ignored`: names without own content (buffers,
    copies). `required`: the supported values of their settings.
    """

    model_type: str
    weights: tuple[Row, ...]
    settings: Mapping[str, str]
    fixed: Mapping[str, Any]
    prefix: str
    output: str
    own_bias: tuple[str, str] | None = None
    ignored: tuple[str, ...] = ()
    required: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)


def _bert_like(prefix: str, head: tuple[Row, ...]) -> tuple[Row, ...]:
    layer = f"{prefix}encoder.layer.{{i}}."
    return (
        row("tokens", f"{prefix}embeddings.word_embeddings"),
        row("encoder.embeddings.positions.table", f"{prefix}embeddings.position_embeddings"),
        row("encoder.embeddings.segments", f"{prefix}embeddings.token_type_embeddings"),
        row("encoder.embeddings.norm", f"{prefix}embeddings.LayerNorm"),
        row(
            "encoder.layers.{i}.attention.part.qkv",
            *(f"{layer}attention.self.{part}" for part in ("query", "key", "value")),
        ),
        row("encoder.layers.{i}.attention.part.output", f"{layer}attention.output.dense"),
        row("encoder.layers.{i}.attention.norm", f"{layer}attention.output.LayerNorm"),
        row("encoder.layers.{i}.mlp.part.up_proj", f"{layer}intermediate.dense"),
        row("encoder.layers.{i}.mlp.part.down_proj", f"{layer}output.dense"),
        row("encoder.layers.{i}.mlp.norm", f"{layer}output.LayerNorm"),
        row("pooler.dense", f"{prefix}pooler.dense"),
        *head,
    )


_BERT_SETTINGS = {
    "vocabulary": "vocab_size",
    "hidden": "hidden_size",
    "encoder_layers": "num_hidden_layers",
    "heads": "num_attention_heads",
    "feedforward": "intermediate_size",
    "activation": "hidden_act",
    "norm_eps": "layer_norm_eps",
    "segments": "type_vocab_size",
    "positions": "max_position_embeddings",
    "dropout": "hidden_dropout_prob",
    "attention_dropout": "attention_probs_dropout_prob",
    "pad": "pad_token_id",
}
_BERT_FIXED = {"embedding_norm": True, "transform": True, "output_bias": True}
_ABSOLUTE = {
    "position_embedding_type": ("absolute",),
    "is_decoder": (False,),
    "add_cross_attention": (False,),
}

BERT = Port(
    "bert",
    _bert_like(
        "bert.",
        (
            row("head.transform.dense", "cls.predictions.transform.dense"),
            row("head.transform.norm", "cls.predictions.transform.LayerNorm"),
            row("head.bias", "cls.predictions.bias"),
            row("head.weight", "cls.predictions.decoder.weight"),
            row("next_sentence_head", "cls.seq_relationship", flipped=True),
        ),
    ),
    _BERT_SETTINGS,
    _BERT_FIXED,
    prefix="bert.",
    output="cls.predictions.decoder.weight",
    own_bias=("cls.predictions.decoder.bias", "cls.predictions.bias"),
    ignored=("cls.predictions.decoder.bias", "bert.embeddings.position_ids"),
    required=_ABSOLUTE,
)

ROBERTA = Port(
    "roberta",
    _bert_like(
        "roberta.",
        (
            row("head.transform.dense", "lm_head.dense"),
            row("head.transform.norm", "lm_head.layer_norm"),
            row("head.bias", "lm_head.bias"),
            row("head.weight", "lm_head.decoder.weight"),
        ),
    ),
    _BERT_SETTINGS,
    {**_BERT_FIXED, "transform_activation": "gelu"},
    prefix="roberta.",
    output="lm_head.decoder.weight",
    own_bias=("lm_head.decoder.bias", "lm_head.bias"),
    ignored=("lm_head.decoder.bias", "roberta.embeddings.position_ids"),
    required=_ABSOLUTE,
)

GPT2 = Port(
    "gpt2",
    (
        row("tokens", "transformer.wte"),
        row("decoder.embeddings.positions.table", "transformer.wpe"),
        row("decoder.layers.{i}.attention.norm", "transformer.h.{i}.ln_1"),
        row("decoder.layers.{i}.attention.part.qkv", "transformer.h.{i}.attn.c_attn", transposed=True),
        row("decoder.layers.{i}.attention.part.output", "transformer.h.{i}.attn.c_proj", transposed=True),
        row("decoder.layers.{i}.mlp.norm", "transformer.h.{i}.ln_2"),
        row("decoder.layers.{i}.mlp.part.up_proj", "transformer.h.{i}.mlp.c_fc", transposed=True),
        row("decoder.layers.{i}.mlp.part.down_proj", "transformer.h.{i}.mlp.c_proj", transposed=True),
        row("decoder.norm", "transformer.ln_f"),
        row("head.weight", "lm_head.weight"),
    ),
    {
        "vocabulary": "vocab_size",
        "hidden": "n_embd",
        "decoder_layers": "n_layer",
        "heads": "n_head",
        "feedforward": "n_inner",
        "activation": "activation_function",
        "norm_eps": "layer_norm_epsilon",
        "positions": "n_positions",
        "dropout": "resid_pdrop",
        "attention_dropout": "attn_pdrop",
        "pad": "pad_token_id",
    },
    {"norm_place": "pre"},
    prefix="transformer.",
    output="lm_head.weight",
    ignored=("attn.bias", "attn.masked_bias"),
    required={
        "scale_attn_weights": (True,),
        "scale_attn_by_inverse_layer_idx": (False,),
        "add_cross_attention": (False,),
    },
)


MODERNBERT = Port(
    "modernbert",
    (
        row("tokens", "model.embeddings.tok_embeddings"),
        row("encoder.embeddings.norm", "model.embeddings.norm"),
        row("encoder.layers.{i}.attention.norm", "model.layers.{i}.attn_norm"),
        row("encoder.layers.{i}.attention.part.qkv", "model.layers.{i}.attn.Wqkv"),
        row("encoder.layers.{i}.attention.part.output", "model.layers.{i}.attn.Wo"),
        row("encoder.layers.{i}.mlp.norm", "model.layers.{i}.mlp_norm"),
        row("encoder.layers.{i}.mlp.part.up_proj", "model.layers.{i}.mlp.Wi"),
        row("encoder.layers.{i}.mlp.part.down_proj", "model.layers.{i}.mlp.Wo"),
        row("encoder.norm", "model.final_norm"),
        row("head.transform.dense", "head.dense"),
        row("head.transform.norm", "head.norm"),
        row("head.bias", "decoder.bias"),
        row("head.weight", "decoder.weight"),
    ),
    {
        "vocabulary": "vocab_size",
        "hidden": "hidden_size",
        "encoder_layers": "num_hidden_layers",
        "heads": "num_attention_heads",
        "feedforward": "intermediate_size",
        "activation": "hidden_activation",
        "norm_eps": "norm_eps",
        "positions": "max_position_embeddings",
        "dropout": "mlp_dropout",
        "attention_dropout": "attention_dropout",
        "pad": "pad_token_id",
    },
    {**_BERT_FIXED, "norm_place": "pre", "gated": True, "bias": False, "segments": 0},
    prefix="model.",
    output="decoder.weight",
    required={
        **dict.fromkeys(("norm_bias", "attention_bias", "mlp_bias", "classifier_bias"), (False,)),
        "decoder_bias": (True,),
        "classifier_activation": ("gelu",),
    },
)


def _bart_stack(ours: str, cross: tuple[Row, ...] = ()) -> tuple[Row, ...]:
    theirs = f"model.{ours}.layers.{{i}}."
    layer = f"{ours}.layers.{{i}}."
    return (
        row(f"{ours}.embeddings.positions.table", f"model.{ours}.embed_positions"),
        row(f"{ours}.embeddings.norm", f"model.{ours}.layernorm_embedding"),
        row(f"{layer}attention.part.qkv", *(f"{theirs}self_attn.{part}_proj" for part in "qkv")),
        row(f"{layer}attention.part.output", f"{theirs}self_attn.out_proj"),
        row(f"{layer}attention.norm", f"{theirs}self_attn_layer_norm"),
        row(f"{layer}mlp.part.up_proj", f"{theirs}fc1"),
        row(f"{layer}mlp.part.down_proj", f"{theirs}fc2"),
        row(f"{layer}mlp.norm", f"{theirs}final_layer_norm"),
        *cross,
    )


BART = Port(
    "bart",
    (
        row("tokens", "model.shared"),
        *_bart_stack("encoder"),
        *_bart_stack(
            "decoder",
            (
                row(
                    "decoder.layers.{i}.cross_attention.part.q",
                    "model.decoder.layers.{i}.encoder_attn.q_proj",
                ),
                row(
                    "decoder.layers.{i}.cross_attention.part.kv",
                    "model.decoder.layers.{i}.encoder_attn.k_proj",
                    "model.decoder.layers.{i}.encoder_attn.v_proj",
                ),
                row(
                    "decoder.layers.{i}.cross_attention.part.output",
                    "model.decoder.layers.{i}.encoder_attn.out_proj",
                ),
                row(
                    "decoder.layers.{i}.cross_attention.norm",
                    "model.decoder.layers.{i}.encoder_attn_layer_norm",
                ),
            ),
        ),
        row("head.bias", "final_logits_bias", leading=True),
        row("head.weight", "lm_head.weight"),
    ),
    {
        "vocabulary": "vocab_size",
        "hidden": "d_model",
        "encoder_layers": "encoder_layers",
        "decoder_layers": "decoder_layers",
        "heads": "encoder_attention_heads",
        "feedforward": "encoder_ffn_dim",
        "activation": "activation_function",
        "positions": "max_position_embeddings",
        "dropout": "dropout",
        "attention_dropout": "attention_dropout",
        "pad": "pad_token_id",
        "start": "decoder_start_token_id",
    },
    {"embedding_norm": True, "output_bias": True, "position_offset": 2},
    prefix="model.",
    output="lm_head.weight",
    ignored=("encoder.embed_tokens.weight", "decoder.embed_tokens.weight"),
)


def _t5_stack(ours: str, feed: int, grow: tuple[str, ...], cross: tuple[Row, ...] = ()) -> tuple[Row, ...]:
    """`feed`: the index of the feed-forward part among a block's parts."""
    theirs = f"{ours}.block.{{i}}.layer."
    layer = f"{ours}.layers.{{i}}."
    return (
        row(f"{ours}.relative.table", f"{ours}.block.0.layer.0.SelfAttention.relative_attention_bias"),
        row(f"{layer}attention.part.qkv", *(f"{theirs}0.SelfAttention.{part}" for part in "qkv")),
        row(f"{layer}attention.part.output", f"{theirs}0.SelfAttention.o"),
        row(f"{layer}attention.norm", f"{theirs}0.layer_norm"),
        *cross,
        row(f"{layer}mlp.part.up_proj", *(f"{theirs}{feed}.DenseReluDense.{part}" for part in grow)),
        row(f"{layer}mlp.part.down_proj", f"{theirs}{feed}.DenseReluDense.wo"),
        row(f"{layer}mlp.norm", f"{theirs}{feed}.layer_norm"),
        row(f"{ours}.norm", f"{ours}.final_layer_norm"),
    )


_T5_CROSS = (
    row("decoder.layers.{i}.cross_attention.part.q", "decoder.block.{i}.layer.1.EncDecAttention.q"),
    row(
        "decoder.layers.{i}.cross_attention.part.kv",
        "decoder.block.{i}.layer.1.EncDecAttention.k",
        "decoder.block.{i}.layer.1.EncDecAttention.v",
    ),
    row("decoder.layers.{i}.cross_attention.part.output", "decoder.block.{i}.layer.1.EncDecAttention.o"),
    row("decoder.layers.{i}.cross_attention.norm", "decoder.block.{i}.layer.1.layer_norm"),
)


def _t5(*grow: str) -> Port:
    """T5 with these up-projections in the feed-forward part: one, or two if it is gated."""
    return Port(
        "t5",
        (
            row("tokens", "shared"),
            *_t5_stack("encoder", 1, grow),
            *_t5_stack("decoder", 2, grow, _T5_CROSS),
            row("head.weight", "lm_head.weight"),
        ),
        {
            "vocabulary": "vocab_size",
            "hidden": "d_model",
            "encoder_layers": "num_layers",
            "decoder_layers": "num_decoder_layers",
            "heads": "num_heads",
            "width": "d_kv",
            "feedforward": "d_ff",
            "norm_eps": "layer_norm_epsilon",
            "relative_buckets": "relative_attention_num_buckets",
            "relative_farthest": "relative_attention_max_distance",
            "dropout": "dropout_rate",
            "attention_dropout": "dropout_rate",
            "pad": "pad_token_id",
            "start": "decoder_start_token_id",
        },
        {"norm": "rms", "norm_place": "pre", "bias": False, "scaled_scores": False, "positions": 0},
        prefix="",
        output="lm_head.weight",
        ignored=(
            "encoder.embed_tokens.weight",
            "decoder.embed_tokens.weight",
            "decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight",
        ),
    )


T5, T5_GATED = _t5("wi"), _t5("wi_0", "wi_1")

PORTS: Mapping[str, tuple[Port, Port]] = {
    **{port.model_type: (port, port) for port in (BERT, ROBERTA, MODERNBERT, GPT2, BART)},
    T5.model_type: (T5, T5_GATED),
}
"""Family → its table, and that of its models with gated feed-forward parts."""


def port_of(model_type: str, gated: bool = False) -> Port:
    """The table of a family. Raises ValueError for an unsupported one."""
    if model_type not in PORTS:
        raise ValueError(f"model type {model_type!r} is not one kepipe can port; known: {', '.join(PORTS)}")
    return PORTS[model_type][gated]
