"""`base:`, which chooses from the table of families or names a trained model, and the model that is made of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import ConfigDict, Field, model_validator

from kepipe.arrays import Ints
from kepipe.config import Section, UserSource
from kepipe.models.config import FusionConfig, TransformerConfig
from kepipe.models.families import FAMILIES, Size

if TYPE_CHECKING:
    from kepipe.models.entities import EntityVectors
    from kepipe.models.transformer import Transformer

NO_VECTORS = (
    "`fusion` needs the vectors of a graph: set `inputs: {vectors: embed}` in the stage, where `embed` is the stage "
    "that makes them"
)
FUSED_ALREADY = "fuses entities already: leave `fusion` out"


class Fusion(Section):
    """Entities of a graph beside the tokens (ERNIE of Tsinghua; Zhang et al. 2019)."""

    first: int | None = Field(None, ge=0)
    """Plain layers before the first that fuses (default: 5 of 12, and as many of others)."""
    entity_hidden: int | None = Field(None, ge=1)
    """Width of the entities, which is that of their vectors (default: what they have; 100 as published)."""
    entity_heads: int = Field(4, ge=1)
    """Heads of the attention among entities."""
    train: bool = False
    """Train the entity vectors too, as a table in the model: for small graphs. Else they stay as they are."""

    def of(self, layers: int, width: int, rows: int) -> FusionConfig:
        """What it means for a model of so many layers and a table of `rows` vectors of `width` numbers."""
        if self.entity_hidden not in (None, width):
            raise ValueError(
                f"base: fusion has entity_hidden {self.entity_hidden}, the entity vectors have {width} numbers: leave "
                f"entity_hidden out, or set `dim: {self.entity_hidden}` in the stage that makes them"
            )
        if width % self.entity_heads:
            raise ValueError(
                f"base: fusion: entity vectors of {width} numbers cannot be shared out to {self.entity_heads} heads: "
                "set entity_heads to a divisor"
            )
        first = layers * 5 // 12 if self.first is None else self.first
        return FusionConfig(
            first=first, hidden=width, heads=self.entity_heads, rows=rows if self.train else 0
        )


class Base(Section):
    """The model that training starts from: a family with a size or explicit sizes, or a trained model."""

    model_config = ConfigDict(populate_by_name=True)

    family: Literal["bert", "roberta", "gpt2", "bart", "t5", "t5-v1.1"] = "bert"
    """Which row of the table of families."""
    size: str | None = None
    """A published size: tiny, mini, small, medium, base, large (default: mini)."""
    trained: UserSource | None = Field(None, alias="from")
    """Start from trained weights: `minilm`, a folder (kepipe's or Hugging Face's), or a hub id."""
    layers: int | None = Field(None, ge=1)
    """Layers of the encoder (of the decoder where that is the only stack)."""
    decoder_layers: int | None = Field(None, ge=1)
    """Layers of the decoder of an encoder-decoder (default: as `layers`)."""
    hidden: int | None = Field(None, ge=1)
    """Width of the hidden states."""
    heads: int | None = Field(None, ge=1)
    """Attention heads (default with an explicit `hidden`: one for 64)."""
    feedforward: int | None = Field(None, ge=1)
    """Width of the feed-forward part (default with an explicit `hidden`: 4 times that)."""
    positions: int | None = Field(None, ge=1)
    """Longest sequence, where positions are learned."""
    segments: int | None = Field(None, ge=0)
    """Kinds of segments (UniLM: one for each of its modes)."""
    tasks: int | None = Field(None, ge=0)
    """Kinds of tasks (ERNIE 2.0)."""
    norm: Literal["pre", "post"] | None = None
    """Where norms stand (default: as the family; `gpt2` with `post` is GPT-1's arrangement)."""
    dropout: float = Field(0.0, ge=0.0, lt=1.0)
    """Dropout in training. 0 by default: a short pretraining sees no text twice."""
    fusion: Fusion | None = None
    """Fuse entities with the tokens of an encoder, on top of any base; `{}` as published."""

    @model_validator(mode="after")
    def _one_source(self) -> Base:
        if self.trained is not None:
            given = self.model_fields_set - {"trained", "dropout", "fusion"}
            if given:
                raise ValueError(f"`from` fixes the architecture: leave out {', '.join(sorted(given))}")
            return self
        family = FAMILIES[self.family]
        for name, has in {
            "segments": family.encoder,
            "tasks": family.encoder,
            "decoder_layers": family.encoder and family.decoder,
            "positions": family.parts.get("positions") != 0,
        }.items():
            if getattr(self, name) and not has:
                raise ValueError(f"{self.family} has no `{name}` to set")
        if self.size is not None and self.size not in family.sizes:
            known = ", ".join(family.sizes)
            raise ValueError(
                f"{self.family} has no size {self.size!r}; known: {known}; or give layers, hidden, heads"
            )
        return self


def configure(base: Base, vocabulary: int) -> TransformerConfig:
    """The config of a fresh model: the family's row, a size, and what `base` sets explicitly."""
    family = FAMILIES[base.family]
    size = family.sizes[base.size or "mini"]
    if base.hidden is not None:
        size = Size(size.layers, base.hidden, base.heads or max(1, base.hidden // 64), 4 * base.hidden)
    layers = base.layers or size.layers
    if family.encoder and family.decoder:
        encoder_layers, decoder_layers = layers, base.decoder_layers or layers
    else:
        encoder_layers, decoder_layers = layers * family.encoder, layers * family.decoder
    config = TransformerConfig(
        family=base.family.removesuffix("-v1.1"),
        vocabulary=vocabulary,
        hidden=size.hidden,
        heads=base.heads or size.heads,
        feedforward=base.feedforward or size.feedforward,
        width=size.width,
        encoder_layers=encoder_layers,
        decoder_layers=decoder_layers,
        dropout=base.dropout,
        attention_dropout=base.dropout,
        **family.parts,
    )
    explicit = {name: getattr(base, name) for name in ("positions", "segments", "tasks")}
    changes = {name: value for name, value in explicit.items() if value is not None}
    if base.norm is not None:
        changes["norm_place"] = base.norm
    return replace(config, **changes)


def with_special_ids(config: TransformerConfig, *, pad: int, sep: int) -> TransformerConfig:
    """The config with a tokenizer's ids in place of the published ones.

    BART begins to write with the token that ends a text, T5 with padding; RoBERTa's positions begin after the
    padding token's number.
    """
    starts = {"bart": sep, "t5": pad}
    offset = pad + 1 if config.family == "roberta" else config.position_offset
    return replace(config, pad=pad, start=starts.get(config.family), position_offset=offset)


def build(
    base: Base,
    vocab_size: int,
    seed: int,
    note: Callable[[str], None] = lambda _: None,
    special: Mapping[str, int] | None = None,
    entities: EntityVectors | None = None,
    counts: Ints | None = None,
) -> Transformer:
    """The model that `base` names, on the CPU in fp32. `note` is told what a trained model lacked.

    `special`: the tokenizer's ids of `pad` and `sep`, which a fresh model takes instead of the family's published
    ones. `entities`: the vectors that a model with `fusion` is for. `counts`: how often each token stands in the text
    to be learned, int [V]: what a fresh model expects (`prior.init_output_bias`). Raises ValueError where a trained model has
    another vocabulary than `vocab_size`, or was made for other vectors.
    """
    from kepipe.models.assemble import assemble, initialise
    from kepipe.models.output_bias import init_output_bias

    if base.trained is None:
        config = configure(base, vocab_size)
        model = initialise(assemble(config if special is None else with_special_ids(config, **special)), seed)
        if counts is not None:
            init_output_bias(model, counts)
        return _with_entities(model, base, seed, note, entities)
    from kepipe.models.pretrained import from_pretrained

    model = from_pretrained(base.trained, seed=seed, dropout=base.dropout, note=note)
    if model.config.vocabulary != vocab_size:
        raise ValueError(
            f"base: {base.trained} has a vocabulary of {model.config.vocabulary} tokens, the tokenizer of the shards "
            f"has {vocab_size}; give the shards the tokenizer of {base.trained}"
        )
    return _with_entities(model, base, seed, note, entities)


def _with_entities(
    model: Transformer,
    base: Base,
    seed: int,
    note: Callable[[str], None],
    entities: EntityVectors | None,
) -> Transformer:
    """The model with the fusion that `base` asks for; one that has it already must fit the vectors."""
    there, wanted = model.config.fusion, base.fusion
    if there is not None:
        if wanted is not None:
            raise ValueError(f"base: {base.trained} {FUSED_ALREADY}")
        if entities is not None and (entities.width, there.rows or len(entities)) != (
            there.hidden,
            len(entities),
        ):
            raise ValueError(
                f"base: {base.trained} was made for {there.rows or 'any number of'} entity vectors of {there.hidden} "
                f"numbers, these are {len(entities)} of {entities.width}"
            )
        return model
    if wanted is None:
        return model
    if entities is None:
        raise ValueError(f"base: {NO_VECTORS}")
    import torch

    from kepipe.models.assemble import fuse

    fusion = wanted.of(model.config.encoder_layers, entities.width, len(entities))
    model, fresh = fuse(model, fusion, seed)
    if model.entity_table is not None:
        with torch.no_grad():
            model.entity_table.weight.copy_(torch.from_numpy(entities.table()))
    count = sum(weight.numel() for name, weight in model.named_parameters() if name in fresh)
    note(
        f"entities of {fusion.hidden} numbers join the tokens after layer {fusion.first}: {count:,} new weights drawn "
        "at random"
    )
    return model


def fingerprint(base: Base) -> dict[str, str]:
    """Digests of the trained weights that `base` names, for the key of a stage; empty for a fresh model."""
    if base.trained is None:
        return {}
    from kepipe.flow.artifact import hash_file
    from kepipe.models.pretrained import locate

    folder = locate(base.trained)
    files = sorted([folder / "config.json", *Path(folder).glob("*.safetensors")])
    return {f"base/{file.name}": hash_file(file) for file in files}
