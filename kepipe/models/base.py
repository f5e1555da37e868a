"""`base:` for transformers: a family or a trained model, and how the model is made from it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from pydantic import ConfigDict, Field, model_validator

from kepipe.arrays import Ints
from kepipe.config import Section, UserSource
from kepipe.models.config import TransformerConfig
from kepipe.models.families import FAMILIES, FamilyName, Size, family_of
from kepipe.models.networks.config import NetworkBase

if TYPE_CHECKING:
    from kepipe.models.transformer import Transformer
    from kepipe.tokenization.tokenizer import Tokenizer


class Base(Section):
    """The model that training starts from: a family with a size or explicit sizes, or a trained model."""

    model_config = ConfigDict(populate_by_name=True)
    renamed: ClassVar[Mapping[str, str]] = {
        "fusion": "write `knowledge: {method: ernie-tsinghua}` of the stage, with these settings",
    }

    family: FamilyName = "bert"
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
    """Maximum row length in tokens, if positions are learned."""
    segments: int | None = Field(None, ge=0)
    """Number of segment ids (6 for UniLM with `mode_segments`)."""
    tasks: int | None = Field(None, ge=0)
    """Number of task ids (ERNIE 2.0)."""
    norm: Literal["pre", "post"] | None = None
    """Pre-norm or post-norm layers (default: as in the family; `gpt2` with `post` is GPT-1's arrangement)."""
    init: Literal["positional-heads", "normal"] = "positional-heads"
    """Initialisation. normal: as published for the family; positional-heads: in addition, half of the heads of an
    encoder's first layer begin by attending to neighbouring tokens, which a model otherwise needs hundreds of updates
    to learn."""
    embeddings: UserSource | None = None
    """Word vectors as initial token embeddings: a model folder of word2vec, fasttext or glove, or a file of vectors."""
    dropout: float = Field(0.0, ge=0.0, lt=1.0)
    """Dropout in training. 0 by default: a short pretraining sees no text twice."""

    def not_written(self) -> Collection[str]:
        """See `Section`: the settings that a trained model fixes."""
        return () if self.trained is None else type(self).model_fields.keys() - {"trained", "dropout"}

    @model_validator(mode="after")
    def _one_source(self) -> Base:
        if self.trained is not None:
            given = self.model_fields_set - {"trained", "dropout"}
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
    """The config with a tokenizer's special ids instead of the published ones.

    BART's decoder starts with the end token, T5's with padding; RoBERTa's positions begin after the id of the padding
    token.
    """
    family = family_of(config.family)
    start = None if family.start is None else {"sep": sep, "pad": pad}[family.start]
    offset = pad + 1 if family.offset_by_pad else config.position_offset
    return replace(config, pad=pad, start=start, position_offset=offset)


def build(
    base: Base,
    vocab_size: int,
    seed: int,
    note: Callable[[str], None] = lambda _: None,
    special: Mapping[str, int] | None = None,
    counts: Ints | None = None,
    tokenizer: Tokenizer | None = None,
) -> Transformer:
    """The model of `base`, on the CPU in fp32. `note` is called with what a trained model lacked.

    `special`: the tokenizer's ids of `pad` and `sep`, for a fresh model. `counts`: the count of each token in the
    training text, int [V], for the output bias of a fresh model or of a trained model without a vocabulary head
    (`kepipe.models.output_bias`). `tokenizer`: needed for the `embeddings` of a base. Raises ValueError if a trained
    model's vocabulary is not `vocab_size`, or embeddings do not fit.
    """
    from kepipe.models.assemble import assemble, initialise
    from kepipe.models.output_bias import init_output_bias

    if base.trained is None:
        config = configure(base, vocab_size)
        model = initialise(assemble(config if special is None else with_special_ids(config, **special)), seed)
        if base.init == "positional-heads":
            from kepipe.models.positional_heads import init_positional_heads

            init_positional_heads(model, seed)
        if base.embeddings is not None:
            from kepipe.models.first_embeddings import init_embeddings

            assert tokenizer is not None  # of every stage that makes a fresh model
            init_embeddings(model, base.embeddings, tokenizer, note)
        if counts is not None:
            init_output_bias(model, counts)
        return model
    from kepipe.models.pretrained import from_pretrained

    model = from_pretrained(base.trained, seed=seed, dropout=base.dropout, note=note, counts=counts)
    require_vocabulary(base.trained, model.config.vocabulary, vocab_size)
    return model


def require_vocabulary(name: str, vocabulary: int, vocab_size: int) -> None:
    """Raises ValueError if a trained model, called `name` in the message, has another vocabulary than the tokenizer."""
    if vocabulary != vocab_size:
        raise ValueError(
            f"base: {name} has a vocabulary of {vocabulary} tokens, the tokenizer of the shards has {vocab_size}; give "
            f"the shards the tokenizer of {name}"
        )


def fingerprint(base: Base | NetworkBase) -> dict[str, str]:
    """Digests of the files of the trained model or of the word vectors that `base` names, for a stage's key; {} if it
    names none."""
    from kepipe.flow.source_digests import digest_source
    from kepipe.models.pretrained import files_of, locate

    if base.trained is not None:
        return {f"base/{name}": digest_source(file) for name, file in files_of(locate(base.trained)).items()}
    embeddings = getattr(base, "embeddings", None)
    if embeddings is None:
        return {}
    place = Path(embeddings).expanduser()
    files = files_of(place) if place.is_dir() else {place.name: place}
    return {f"embeddings/{name}": digest_source(file) for name, file in files.items() if file.is_file()}
