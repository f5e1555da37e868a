"""Building a transformer from its config, and initialising its weights from a seed."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor, nn

from kepipe.models.config import FusionConfig, TransformerConfig
from kepipe.models.families import family_of
from kepipe.models.transformer import Transformer
from kepipe.nn.attention import CrossAttention, SelfAttention
from kepipe.nn.embeddings import Embeddings
from kepipe.nn.feedforward import ACTIVATIONS, FeedForward, GatedFeedForward
from kepipe.nn.fusion import FusedLayer, Fusion
from kepipe.nn.heads import EntityParts, LabelParts, Pooler, PredictionTransform, VocabularyHead
from kepipe.nn.layer import Layer, PostNorm, PreNorm, Stack, attention_layer
from kepipe.nn.norms import UnbiasedNorm
from kepipe.nn.positions import LearnedPositions, RelativeBias

DEVIATION = 0.02
"""Standard deviation of initial weights (Devlin et al. 2019)."""
PUBLISHED_WIDTH = 768
"""Width of the model with that deviation (BERT-base)."""


def assemble(config: TransformerConfig) -> Transformer:
    """A transformer without values (device "meta"): call `initialise`, or load weights into it."""
    with torch.device("meta"):
        transform = (
            PredictionTransform(
                config.hidden,
                ACTIVATIONS[config.transform_activation or config.activation],
                _norm(config),
                bias=config.bias,
            )
            if config.transform
            else None
        )
        head = VocabularyHead(
            transform=transform,
            weight=None if config.tied else torch.empty(config.vocabulary, config.hidden),
            bias=config.vocabulary if config.output_bias else 0,
            scale=config.hidden**-0.5 if config.tied_scale else 1.0,
        )
        return Transformer(
            config,
            nn.Embedding(config.vocabulary, config.hidden),
            head,
            encoder=_stack(config, config.encoder_layers, decodes=False),
            decoder=_stack(config, config.decoder_layers, decodes=True),
            label_parts=_label_parts(config),
            entity_parts=EntityParts(_entity_head(config), _entity_table(config)),
        )


def _norm(config: TransformerConfig, width: int = 0) -> nn.Module:
    kinds: dict[str, Callable[..., nn.Module]] = {
        "layer": partial(nn.LayerNorm, bias=config.bias),
        "rms": nn.RMSNorm,
        "unbiased": UnbiasedNorm,
    }
    return kinds[config.norm](width or config.hidden, eps=config.norm_eps)


def _label_parts(config: TransformerConfig) -> LabelParts:
    heads = {name: nn.Linear(config.hidden, labels) for name, labels in config.label_heads.items()}
    return LabelParts(
        pooler=Pooler(config.hidden) if config.pooler else None,
        next_sentence=nn.Linear(config.hidden, 2) if config.next_sentence else None,
        heads=nn.ModuleDict(heads) if heads else None,
    )


def _entity_head(config: TransformerConfig) -> PredictionTransform | None:
    if config.fusion is None:
        return None
    width = config.fusion.hidden
    return PredictionTransform(config.hidden, ACTIVATIONS[config.activation], _norm(config, width), width)


def _entity_table(config: TransformerConfig) -> nn.Embedding | None:
    if config.fusion is None or not config.fusion.rows:
        return None
    return nn.Embedding(config.fusion.rows, config.fusion.hidden)


def _stack(config: TransformerConfig, layers: int, *, decodes: bool) -> Stack | None:
    if not layers:
        return None
    relative = None
    if not config.positions:
        relative = RelativeBias(
            config.heads, config.relative_buckets, config.relative_farthest, both_ways=not decodes
        )
    pre = config.norm_place == "pre"
    crosses = decodes and config.encoder_layers > 0
    return Stack(
        _embeddings(config, segments=0 if crosses else config.segments),
        [
            _fused_layer(config, config.fusion, number)
            if config.fusion is not None and number >= config.fusion.first
            else _layer(config, crosses=crosses, is_normed=number == 0 and pre and config.embedding_norm)
            for number in range(layers)
        ],
        norm=_norm(config) if pre else None,
        relative=relative,
        local=() if config.rotary is None else config.rotary.local_layers(layers),
        dropout=config.dropout if pre and not config.positions else 0.0,
    )


def _embeddings(config: TransformerConfig, segments: int) -> Embeddings:
    learned = None
    if config.positions and config.rotary is None:
        learned = LearnedPositions(config.positions, config.hidden, config.position_offset)
    return Embeddings(
        positions=learned,
        segments=nn.Embedding(segments, config.hidden) if segments else None,
        tasks=nn.Embedding(config.tasks, config.hidden) if config.tasks else None,
        norm=_norm(config) if config.embedding_norm else None,
        scale=config.embedding_scale,
        dropout=config.dropout,
    )


def _layer(config: TransformerConfig, *, crosses: bool, is_normed: bool) -> Layer:
    """`is_normed`: the input of a pre-norm layer is already normalised, by the embeddings' norm, so its first norm is
    left out."""
    sizes = (config.hidden, config.heads, config.head_width)
    scale = None if config.scaled_scores else 1.0
    attention = SelfAttention(*sizes, bias=config.bias, scale=scale, dropout=config.attention_dropout)
    cross = CrossAttention(*sizes, bias=config.bias, scale=scale, dropout=config.attention_dropout)
    feed = GatedFeedForward if config.gated else FeedForward
    return attention_layer(
        PreNorm if config.norm_place == "pre" else PostNorm,
        [nn.Identity() if is_normed else _norm(config), *(_norm(config) for _ in range(2 if crosses else 1))],
        attention,
        feed(config.hidden, config.feedforward, ACTIVATIONS[config.activation], bias=config.bias),
        cross if crosses else None,
        config.dropout,
    )


def _fused_layer(config: TransformerConfig, fusion: FusionConfig, number: int) -> FusedLayer:
    """A layer of ERNIE's K-Encoder; the first one has no attention among entities, unless `first_attends`."""
    attention = SelfAttention(
        config.hidden, config.heads, config.head_width, bias=config.bias, dropout=config.attention_dropout
    )
    feed = FeedForward(config.hidden, config.feedforward, ACTIVATIONS[config.activation], bias=config.bias)
    among_entities = None
    if number > fusion.first or fusion.first_attends:
        width = fusion.hidden // fusion.heads
        among_entities = PostNorm(
            SelfAttention(fusion.hidden, fusion.heads, width, dropout=config.attention_dropout),
            _norm(config, fusion.hidden),
            config.dropout,
        )
    return FusedLayer(
        PostNorm(attention, _norm(config), config.dropout),
        Fusion(feed, _norm(config), fusion.hidden, _norm(config, fusion.hidden), config.dropout),
        among_entities,
    )


def fuse(model: Transformer, fusion: FusionConfig, seed: int) -> tuple[Transformer, tuple[str, ...]]:
    """The model with entity fusion, and the names of its new weights, which are drawn from `seed`.

    All other weights are the model's. Raises ValueError if the model has no encoder that supports fusion.
    """
    return _extended(model, replace(model.config, fusion=fusion), seed)


def with_label_heads(model: Transformer, heads: Mapping[str, int], seed: int) -> Transformer:
    """The model with a label head for each name, of that many labels; missing heads are drawn from `seed`.

    Raises ValueError if it has a head of that name with another number of labels.
    """
    for name, labels in model.config.label_heads.items():
        if heads.get(name, labels) != labels:
            raise ValueError(
                f"the model that training starts from tells {labels} labels of {name}, not {heads[name]}: set the "
                "objective as it was, or start from another model"
            )
    if heads.keys() <= model.config.label_heads.keys():
        return model
    wanted = dict(sorted({**model.config.label_heads, **heads}.items()))
    return _extended(model, replace(model.config, label_heads=wanted), seed)[0]


def _extended(
    model: Transformer, config: TransformerConfig, seed: int
) -> tuple[Transformer, tuple[str, ...]]:
    """A model of a config with more parts, with the weights of `model`; and the names of the new weights, which are
    drawn from `seed`."""
    extended = assemble(config).to_empty(device="cpu")
    old, new = dict(model.named_parameters()), dict(extended.named_parameters())
    added = {name: weight for name, weight in new.items() if name not in old}
    init_weights(added, config, torch.Generator().manual_seed(seed), DEVIATION)
    with torch.no_grad():
        for name, weight in old.items():
            new[name].copy_(weight)
    return extended, tuple(added)


def without_fusion(model: Transformer) -> Transformer:
    """The model without its entity fusion, sharing its weights."""
    bare = assemble(replace(model.config, fusion=None))
    weights = dict(model.named_parameters())
    bare.load_state_dict({name: weights[name].detach() for name, _ in bare.named_parameters()}, assign=True)
    return bare.train(model.training)


def initialise(model: Transformer, seed: int) -> Transformer:
    """Draw all weights, on the CPU, from a generator seeded with `seed`; returns the model."""
    model.to_empty(device="cpu")
    generator = torch.Generator().manual_seed(seed)
    init_weights(dict(model.named_parameters()), model.config, generator, _deviation_of_layers(model.config))
    return model


def _deviation_of_layers(config: TransformerConfig) -> float:
    """Standard deviation of the layers' matrices: such that a layer's output, relative to its input, is as large as at
    the published width.

    With normalised input and 0.02 at a width of 128, layers would add so little that a model learns only the
    frequencies of tokens for hundreds of updates. Embeddings without a norm are small, and need no change.
    """
    if config.norm_place == "pre" and not config.embedding_norm:
        return DEVIATION
    return DEVIATION * math.sqrt(max(1.0, PUBLISHED_WIDTH / config.hidden))


def init_weights(
    weights: Mapping[str, Tensor], config: TransformerConfig, generator: torch.Generator, in_layers: float
) -> None:
    """Initialise weights, in the order of their names.

    Normal with deviation 0.02, or `in_layers` where they are a layer's; zero biases (Devlin et al. 2019). GPT-2's
    residual projections are divided by √(2 · layers) (Radford et al. 2019, section 2.3), those of GPT-1's arrangement
    are not (Radford et al. 2018, section 4.1); T5 has deviations of its own (`_init_t5_weights`).
    """
    into_residual = ("part.output.weight", "part.down_proj.weight") if _scales_residuals(config) else ()
    with torch.no_grad():
        for name, weight in sorted(weights.items(), key=_drawing_order):
            if name.endswith("bias"):
                weight.zero_()
            elif "norm." in name:
                weight.fill_(1.0)
            elif family_of(config.family).t5_init:
                _init_t5_weights(name, weight, config, generator)
            else:
                deviation = in_layers if ".layers." in name else DEVIATION
                if name.endswith(into_residual):
                    deviation /= (2 * (config.encoder_layers + config.decoder_layers)) ** 0.5
                weight.normal_(0.0, deviation, generator=generator)


def _drawing_order(named: tuple[str, Tensor]) -> str:
    """Sort key: the name, with `up_proj` before `down_proj`."""
    return named[0].replace("up_proj", "proj_1").replace("down_proj", "proj_2")


def _scales_residuals(config: TransformerConfig) -> bool:
    """As GPT-2 does; GPT-1, a post-norm model under its name, does not."""
    return family_of(config.family).scaled_residuals and config.norm_place == "pre"


def _init_t5_weights(
    name: str, weight: Tensor, config: TransformerConfig, generator: torch.Generator
) -> None:
    """T5's initialisation, as Mesh TensorFlow has it: scores are not scaled, so queries start out small."""
    inner = config.heads * config.head_width
    if name == "tokens.weight":
        # An output matrix of its own is drawn as others are, so that logits are of size 1 too.
        deviation = 1.0
    elif name.endswith("output.weight"):
        deviation = inner**-0.5
    elif name.endswith("down_proj.weight"):
        deviation = config.feedforward**-0.5
    else:
        deviation = config.hidden**-0.5
    weight.normal_(0.0, deviation, generator=generator)
    if name.endswith((".qkv.weight", ".q.weight")):
        weight[:inner] *= config.head_width**-0.5


def extend_vocabulary(model: Transformer, size: int) -> Transformer:
    """The model with a larger vocabulary; the new rows are zeros."""
    extended = assemble(replace(model.config, vocabulary=size)).to_empty(device="cpu")
    old = dict(model.named_parameters())
    with torch.no_grad():
        for name, weight in extended.named_parameters():
            weight.zero_()[: len(old[name])] = old[name]
    return extended
