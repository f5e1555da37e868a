"""The config of a transformer, as plain values that can be stored as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from kepipe.models.config_values import as_written, located, read_part, require_known, require_values
from kepipe.models.families import RotaryConfig, Stacks, family_of
from kg.regular_files import read_json

if TYPE_CHECKING:
    from kepipe.models.protocols import Capability

Activation = Literal["gelu", "gelu_tanh", "relu"]
CONFIG = "config.json"
FORMAT = "kepipe-transformer/2"
"""Value of `format` in a model folder's config, which tells it from another library's."""


@dataclass(frozen=True, kw_only=True)
class FusionConfig:
    """ERNIE (Tsinghua)'s entity fusion (Zhang et al. 2019): `first` plain layers, a layer that fuses, then layers that
    also attend among entities. `hidden`, `heads`: of the entities. `rows`: of a trained table of entity vectors; 0: the
    vectors come with batches and are not trained."""

    first: int
    hidden: int
    heads: int
    rows: int = 0
    first_attends: bool = False
    """Whether entities attend to one another in the first layer that fuses already."""

    def __post_init__(self) -> None:
        require_values(self)
        if self.hidden < 1 or self.heads < 1 or self.hidden % self.heads:
            raise ValueError(
                f"entity vectors of width {self.hidden} cannot be shared out to {self.heads} heads"
            )


@dataclass(frozen=True, kw_only=True)
class TransformerConfig:
    """Sizes and choices of parts. `families.py` holds the published combinations.

    A stack with 0 layers is absent: BERT has no decoder, GPT no encoder. Sizes are counts; `position_offset`
    is the number of unused rows before position 0; `width` is a head's width (0: hidden / heads).
    """

    format: ClassVar[str] = FORMAT
    reads_trees: ClassVar[bool] = True
    carries_state: ClassVar[bool] = False
    objectives: ClassVar[frozenset[str] | None] = None

    family: str
    vocabulary: int
    hidden: int
    heads: int
    feedforward: int
    encoder_layers: int = 0
    decoder_layers: int = 0
    width: int = 0

    positions: int = 512
    """Rows of learned positions, or the longest row with rotary ones; 0: T5's relative bias instead."""
    rotary: RotaryConfig | None = None
    """Positions as rotations; None: as `positions` says."""
    position_offset: int = 0
    relative_buckets: int = 32
    relative_farthest: int = 128
    segments: int = 0
    tasks: int = 0

    norm: Literal["layer", "rms", "unbiased"] = "layer"
    """unbiased: LayerNorm as the release of K-BERT computes it (`kepipe.nn.norms`)."""
    norm_place: Literal["post", "pre"] = "post"
    norm_eps: float = 1e-5
    embedding_norm: bool = False
    embedding_scale: float = 1.0
    activation: Activation = "gelu"
    gated: bool = False
    bias: bool = True
    """Whether projections and norms have biases."""
    scaled_scores: bool = True
    """Whether attention scores are divided by √width."""

    transform: bool = False
    """BERT's dense layer and norm before the vocabulary layer."""
    transform_activation: Activation | None = None
    """Of that layer; None: as the others'. RoBERTa's is always the exact GELU (as released, and in transformers)."""
    tied: bool = True
    tied_scale: bool = False
    """Whether hidden states are multiplied by hidden^-½ before the tied output matrix."""
    output_bias: bool = False
    pooler: bool = False
    next_sentence: bool = False
    label_heads: Mapping[str, int] = field(default_factory=dict)
    """Heads for labels of rows or tokens that pretraining tells (ERNIE 2.0): name → labels."""

    dropout: float = 0.0
    attention_dropout: float = 0.0
    pad: int = 0
    """Id of the padding token."""
    start: int | None = None
    """Id of the token with which a decoder's input begins; None: the tokenizer's first special token."""
    fusion: FusionConfig | None = None
    """Entities that go with the tokens; None: a plain model."""

    def __post_init__(self) -> None:
        require_values(self)
        for name in ("vocabulary", "hidden", "heads", "feedforward"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")
        if self.width == 0 and self.hidden % self.heads:
            raise ValueError(f"hidden {self.hidden} is not a multiple of heads {self.heads}")
        for name, labels in self.label_heads.items():
            if type(labels) is not int or not 2 <= labels <= 1 << 16 or "." in name:
                raise ValueError(
                    f"label_heads: expected a name and 2 labels or more, found {as_written({name: labels})}"
                )
        if self.encoder_layers + self.decoder_layers < 1:
            raise ValueError("a transformer needs encoder_layers or decoder_layers")
        if self.rotary is not None and self.decoder_layers:
            raise ValueError("rotary positions are those of an encoder alone")
        if self.fusion is not None:
            if self.decoder_layers or self.norm_place == "pre" or self.gated:
                raise ValueError(
                    f"entities are fused in an encoder such as bert or roberta, not in {self.family}"
                )
            if not 0 <= self.fusion.first < self.encoder_layers:
                raise ValueError(
                    f"fusion after {self.fusion.first} layers: of {self.encoder_layers} layers at least one must fuse"
                )

    @property
    def causal(self) -> bool:
        """Whether tokens see only what stands left of them: a decoder alone."""
        return self.encoder_layers == 0

    @property
    def begins_with_cls(self) -> bool:
        """See `EncoderConfig`: not in GPT and T5."""
        return family_of(self.family).begins_with_cls

    @property
    def stacks(self) -> Stacks:
        """Which stacks there are."""
        if not self.encoder_layers:
            return "decoder"
        return "encoder-decoder" if self.decoder_layers else "encoder"

    @property
    def masks_documents(self) -> bool:
        """See `TrainableConfig`: an encoder-decoder writes rows as a whole."""
        return self.stacks != "encoder-decoder"

    @property
    def capabilities(self) -> frozenset[Capability]:
        """What the model can be used as: an encoder alone fills masks, a decoder writes."""
        return frozenset({"encoder", "language-model" if self.decoder_layers else "masked-lm"})

    @property
    def head_width(self) -> int:
        """Width of an attention head."""
        return self.width or self.hidden // self.heads

    def to_json(self) -> dict[str, Any]:
        """Plain values, for `json.dumps`."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """The inverse of `to_json`. Raises ValueError for keys that this version does not know."""
        require_known(values, cls)
        fusion, rotary = read_part(values, "fusion", FusionConfig), read_part(values, "rotary", RotaryConfig)
        return cls(**{**values, "fusion": fusion, "rotary": rotary})


def is_ours(values: Mapping[str, Any]) -> bool:
    """Whether a model's `config.json` is one of kepipe's, of this version or another."""
    return str(values.get("format", "")).partition("/")[0] == FORMAT.partition("/")[0]


def read_format(folder: Path) -> str:
    """The format that a model folder's config states; empty for another library's. Raises ValueError where there is no
    config."""
    with located(folder / CONFIG):
        return str(_read(folder / CONFIG).get("format", ""))


def _read(file: Path) -> dict[str, Any]:
    try:
        values = read_json(file)
    except (OSError, ValueError) as error:
        raise ValueError(f"no readable config of a model ({error})") from None
    return values if isinstance(values, dict) else {}


def read_config(folder: Path) -> TransformerConfig:
    """The config of a model folder. Raises ValueError where there is none."""
    with located(folder / CONFIG):
        return TransformerConfig.from_json(read_values(folder, FORMAT))


def read_values(folder: Path, format: str) -> dict[str, Any]:
    """What a model folder's config says in this format, for reading inside `located`. Raises ValueError for one of
    another format."""
    values, kind = _read(folder / CONFIG), format.partition("/")[0]
    found = str(values.pop("format", ""))
    if found.partition("/")[0] != kind:
        raise ValueError(f"not the config of a {kind} model folder")
    if found != format:
        raise ValueError("made by another version of kepipe: train the model again")
    return values
