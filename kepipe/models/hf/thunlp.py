"""The released checkpoints of ERNIE (Tsinghua): a state dict with BERT's names, and `…_ent` weights next to BERT's.

A folder holds `config.json` (the release's `ernie_config.json`) and `model.safetensors`. The release uses pickled
weights; a user who trusts the file converts them once:

weights = torch.load("pytorch_model.bin", map_location="cpu", weights_only=True)
safetensors.torch.save_file({k: v.contiguous() for k, v in weights.items()}, "model.safetensors")
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from torch import Tensor

from kepipe.models.assemble import assemble, initialise
from kepipe.models.config import FusionConfig
from kepipe.models.config_values import located
from kepipe.models.hf import huggingface, rows, settings
from kepipe.models.hf.rows import row
from kepipe.models.hf.tables import port_of
from kg.regular_files import read_json

HEADS = 4
"""Number of entity heads, which the release defines only in its code; a config may override it with
`num_attention_heads_ent`."""
LAYER, OURS = "bert.encoder.layer.{i}.", "encoder.layers.{i}."
ENTITY_SIDE = (
    row(
        f"{OURS}entity_attention.part.qkv",
        *(f"{LAYER}attention.self_ent.{part}" for part in ("query", "key", "value")),
    ),
    row(f"{OURS}entity_attention.part.output", f"{LAYER}attention.output_ent.dense"),
    row(f"{OURS}entity_attention.norm", f"{LAYER}attention.output_ent.LayerNorm"),
    row(f"{OURS}mlp.entity_up_proj", f"{LAYER}intermediate.dense_ent"),
    row(f"{OURS}mlp.entity_down_proj", f"{LAYER}output.dense_ent"),
    row(f"{OURS}mlp.entity_norm", f"{LAYER}output.LayerNorm_ent"),
    row("entity_head.dense", "cls.predictions_ent.transform.dense"),
    row("entity_head.norm", "cls.predictions_ent.transform.LayerNorm"),
)
SECOND_BIAS = "intermediate.dense_ent.bias"
"""Their first layer has two biases, both of which are added at every token; ours is their sum."""


def load(folder: Path, seed: int = 0) -> huggingface.Ported:
    """The model of such a folder, on the CPU in fp32; missing weights are initialised with `seed`.

    Raises ValueError, naming file and key, for layers in an order other than plain, fusing, with both attentions, and
    for weights whose shape differs from the config.
    """
    file = folder / huggingface.CONFIG
    theirs = read_json(file)
    port = port_of("bert")
    weights = huggingface.modern(huggingface.read(folder), port)
    with located(file):
        without_fusion = huggingface.configure(settings.to_ours(theirs, port), weights, port)
        config = replace(without_fusion, norm_eps=1e-12, fusion=_fusion(theirs, weights))
    model = initialise(assemble(config), seed)
    found, lacking, unused = rows.to_ours(
        (*port.weights, *ENTITY_SIDE), dict(model.named_parameters()), weights
    )
    first = config.encoder_layers if config.fusion is None else config.fusion.first
    for i in range(first, config.encoder_layers):
        second = LAYER.format(i=i) + SECOND_BIAS
        if second in weights:
            name = OURS.format(i=i) + "mlp.part.up_proj.bias"
            found[name] = found[name] + weights[second].float()
            unused.remove(second)
    rows.load_into(model, found, folder)
    real = [name for name in unused if name != port.output and not name.endswith(port.ignored)]
    return huggingface.Ported(model, tuple(lacking), tuple(real))


def _fusion(theirs: Mapping[str, Any], weights: Mapping[str, Tensor]) -> FusionConfig | None:
    """The entity encoder, whose width is that of the weights; None if all layers are plain.

    A layer is plain (sim), fuses (mix), or fuses after attention among entities (norm).
    """
    kinds = [*theirs["layer_types"]]
    kinds += ["sim"] * (int(theirs["num_hidden_layers"]) - len(kinds))
    first = next((number for number, kind in enumerate(kinds) if kind != "sim"), len(kinds))
    if not set(kinds[first:]) <= {"mix", "norm"} or "mix" in kinds[first + 1 :]:
        raise ValueError(
            f"layer_types {kinds}: expected plain layers (sim), at most one that fuses (mix), then others "
            "(norm)"
        )
    if first == len(kinds):
        return None
    name = LAYER.format(i=first) + "intermediate.dense_ent.weight"
    if name not in weights:
        raise ValueError(f"layer_types says that layer {first} fuses, but {name} is not there")
    heads = int(theirs.get("num_attention_heads_ent", HEADS))
    return FusionConfig(
        first=first, hidden=weights[name].shape[1], heads=heads, first_attends=kinds[first] == "norm"
    )
