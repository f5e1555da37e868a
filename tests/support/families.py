"""Small transformers models with random weights, one per family, and how to compute hidden states with each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

VOCABULARY = 61
SIZES: dict[str, dict[str, Any]] = {
    "bert": {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48},
    "roberta": {
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "intermediate_size": 48,
        "type_vocab_size": 1,
        "max_position_embeddings": 42,
    },
    "modernbert": {
        "hidden_size": 32,
        "num_hidden_layers": 4,
        "num_attention_heads": 4,
        "intermediate_size": 48,
        "local_attention": 6,
        "pad_token_id": 0,
        "max_position_embeddings": 40,
    },
    "gpt2": {
        "n_embd": 32,
        "n_layer": 3,
        "n_head": 4,
        "n_positions": 40,
        "bos_token_id": 2,
        "eos_token_id": 2,
    },
    "bart": {
        "d_model": 32,
        "encoder_layers": 2,
        "decoder_layers": 3,
        "encoder_attention_heads": 4,
        "decoder_attention_heads": 4,
        "encoder_ffn_dim": 48,
        "decoder_ffn_dim": 48,
        "max_position_embeddings": 40,
        "forced_eos_token_id": None,
    },
    "t5": {
        "d_model": 32,
        "d_kv": 6,
        "num_layers": 2,
        "num_decoder_layers": 3,
        "num_heads": 4,
        "d_ff": 48,
        "decoder_start_token_id": 0,
    },
    "t5-v1.1": {
        "d_model": 32,
        "d_kv": 6,
        "num_layers": 2,
        "num_heads": 4,
        "d_ff": 48,
        "decoder_start_token_id": 0,
        "feed_forward_proj": "gated-gelu",
        "tie_word_embeddings": False,
    },
}
CLASSES = {
    "bert": "BertForPreTraining",
    "roberta": "RobertaForMaskedLM",
    "modernbert": "ModernBertForMaskedLM",
    "gpt2": "GPT2LMHeadModel",
    "bart": "BartForConditionalGeneration",
    "t5": "T5ForConditionalGeneration",
    "t5-v1.1": "T5ForConditionalGeneration",
}
ENCODERS, ENCODER_DECODERS = ("bert", "roberta", "modernbert"), ("bart", "t5", "t5-v1.1")


def theirs(family: str, seed: int = 0, **changes: Any) -> nn.Module:
    """transformers' model of the family in evaluation mode, with all weights random, including biases and norms.

    `changes`: to its config.
    """
    import transformers

    kind = getattr(transformers, CLASSES[family])
    config = kind.config_class(vocab_size=VOCABULARY, **SIZES[family], **changes)
    model: nn.Module = kind(config).eval()
    if family == "t5-v1.1":  # transformers 5 ties these regardless of the config
        model.lm_head.weight = nn.Parameter(torch.empty(VOCABULARY, 32))
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            centre = 1.0 if "norm" in name.lower() or ".ln_" in name else 0.0
            if not name.endswith("bias") or centre == 0.0:
                weight.normal_(centre, 0.2, generator=generator)
            else:
                weight.normal_(0.0, 0.2, generator=generator)
        for name, buffer in model.named_buffers():
            if name == "final_logits_bias":
                buffer.normal_(0.0, 0.2, generator=generator)
    return model


def saved(model: nn.Module, folder: Path) -> Path:
    """The folder written by transformers."""
    model.save_pretrained(folder)  # type: ignore[operator]
    return folder


def tokens(rows: int, length: int, seed: int = 0) -> Tensor:
    """Random ordinary tokens [rows, length]."""
    return torch.randint(5, VOCABULARY, (rows, length), generator=torch.Generator().manual_seed(seed))


def padded(lengths: list[int]) -> Tensor:
    """The descriptor of documents: 1 on each row's first `lengths[row]` positions, 0 after."""
    return (torch.arange(max(lengths))[None] < torch.tensor(lengths)[:, None]).long()


def relative_error(ours: Tensor, reference: Tensor) -> float:
    """Largest difference over the largest value."""
    return float((ours - reference).abs().max() / reference.abs().max())
