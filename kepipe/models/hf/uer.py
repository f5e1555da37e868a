"""Checkpoints of K-BERT's release, which is based on UER: UER's names of BERT's weights, and its LayerNorm.

A folder holds `config.json`, UER's (`emb_size`, `hidden_size`, `feedforward_size`, `heads_num`, `layers_num`), a
`vocab.txt`, and `model.safetensors`. The release uses pickled weights; a user who trusts the file converts them once:

weights = torch.load("google_model.bin", map_location="cpu", weights_only=True)
safetensors.torch.save_file({k: v.contiguous() for k, v in weights.items()}, "model.safetensors")

`"upstream": true` in config.json computes norms as the release does (`kepipe.nn.norms.UnbiasedNorm`), for weights that
were fine-tuned with it; without it, norms are BERT's, for weights converted from Google's.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from kepipe.models.assemble import assemble, initialise
from kepipe.models.config import TransformerConfig
from kepipe.models.config_values import located
from kepipe.models.hf import huggingface, rows
from kepipe.models.hf.rows import row
from kg.regular_files import read_json

LAYER, OURS = "encoder.transformer.{i}.", "encoder.layers.{i}."
WEIGHTS = (
    row("tokens", "embedding.word_embedding"),
    row("encoder.embeddings.positions.table", "embedding.position_embedding"),
    row("encoder.embeddings.segments", "embedding.segment_embedding"),
    row("encoder.embeddings.norm", "embedding.layer_norm"),
    row(f"{OURS}attention.part.qkv", *(f"{LAYER}self_attn.linear_layers.{part}" for part in range(3))),
    row(f"{OURS}attention.part.output", f"{LAYER}self_attn.final_linear"),
    row(f"{OURS}attention.norm", f"{LAYER}layer_norm_1"),
    row(f"{OURS}mlp.part.up_proj", f"{LAYER}feed_forward.linear_1"),
    row(f"{OURS}mlp.part.down_proj", f"{LAYER}feed_forward.linear_2"),
    row(f"{OURS}mlp.norm", f"{LAYER}layer_norm_2"),
    row("head.transform.dense", "target.mlm_linear_1"),
    row("head.transform.norm", "target.layer_norm"),
    row("head.bias", "target.mlm_linear_2.bias"),
    row("head.weight", "target.mlm_linear_2.weight"),
    row("pooler.dense", "target.nsp_linear_1"),
    row("next_sentence_head", "target.nsp_linear_2", flipped=True),
)
"""Ours, theirs. The converted checkpoints keep BERT's order of the next-sentence columns."""
SEGMENTS = "embedding.segment_embedding.weight"
"""Row 0 belongs to padding, which is never attended to; sentences A and B have rows 1 and 2."""
NEEDED = ("hidden_size", "feedforward_size", "heads_num", "layers_num")


def load(folder: Path, seed: int = 0) -> huggingface.Ported:
    """The model of such a folder, on the CPU in fp32; missing weights are initialised with `seed`.

    Raises ValueError, naming file and key, if the config lacks a size or a weight has a different one.
    """
    file = folder / huggingface.CONFIG
    theirs = read_json(file)
    missing = [name for name in NEEDED if name not in theirs]
    if missing:
        raise ValueError(f"{file}: `{missing[0]}` is missing")
    weights = {
        name.replace(".gamma", ".weight").replace(".beta", ".bias"): value
        for name, value in huggingface.read(folder).items()
    }
    for name in ("embedding.word_embedding.weight", "embedding.position_embedding.weight", SEGMENTS):
        if name not in weights:
            raise ValueError(
                f"{folder / huggingface.WEIGHTS}: no {name}: not a checkpoint of K-BERT's release"
            )
    weights[SEGMENTS] = weights[SEGMENTS][1:]
    with located(file):
        config = _configure(theirs, weights)
    model = initialise(assemble(config), seed)
    found, lacking, unused = rows.to_ours(WEIGHTS, dict(model.named_parameters()), weights)
    rows.load_into(model, found, folder)
    real = [name for name in unused if not (model.config.tied and name == "target.mlm_linear_2.weight")]
    return huggingface.Ported(model, tuple(lacking), tuple(real))


def _configure(theirs: Mapping[str, Any], weights: Mapping[str, Tensor]) -> TransformerConfig:
    tokens = weights["embedding.word_embedding.weight"]
    output = weights.get("target.mlm_linear_2.weight")
    upstream = bool(theirs.get("upstream", False))
    return TransformerConfig(
        family="bert",
        vocabulary=len(tokens),
        hidden=theirs["hidden_size"],
        heads=theirs["heads_num"],
        feedforward=theirs["feedforward_size"],
        encoder_layers=theirs["layers_num"],
        positions=len(weights["embedding.position_embedding.weight"]),
        segments=len(weights[SEGMENTS]),
        norm="unbiased" if upstream else "layer",
        norm_eps=1e-6 if upstream else 1e-12,
        embedding_norm=True,
        transform=True,
        output_bias=True,
        tied=output is None or torch.equal(tokens, output),
        pooler="target.nsp_linear_1.weight" in weights,
        next_sentence="target.nsp_linear_2.weight" in weights,
        dropout=theirs.get("dropout", 0.0),
        attention_dropout=theirs.get("dropout", 0.0),
    )
