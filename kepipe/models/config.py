"""The config of a transformer, as plain values that can be stored as JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from functools import cache
from math import isfinite
from pathlib import Path
from types import NoneType
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self, get_args, get_origin, get_type_hints

from kepipe.models.families import RotaryConfig, Stacks, family_of
from kg.regular_files import read_json

if TYPE_CHECKING:
    from kepipe.models.protocols import Capability

Activation = Literal["gelu", "gelu_tanh", "relu"]
CONFIG = "config.json"
FORMAT = "kepipe-transformer/2"
"""Value of `format` in a model folder's config, which tells it from another library's."""


LARGEST = {
    "vocabulary": 1 << 24, "hidden": 1 << 17, "heads": 1 << 12, "feedforward": 1 << 20, "encoder_layers": 1 << 10,
    "decoder_layers": 1 << 10, "width": 1 << 16, "positions": 1 << 24, "position_offset": 1 << 10,
    "relative_buckets": 1 << 16, "relative_farthest": 1 << 24, "segments": 1 << 16, "tasks": 1 << 16, "rows": 1 << 31,
    "first": 1 << 10, "embedding": 1 << 17, "layers": 1 << 10,
}  # fmt: skip
"""Size → the largest that a config may state, far above any published model's: a config comes with a folder of others,
and a model is built to its sizes before a weight is read."""


def require_known(values: Mapping[str, Any], config: type[Any]) -> None:
    """Raise ValueError where a config's file has keys that its dataclass has not."""
    unknown = values.keys() - {field.name for field in fields(config)}
    if unknown:
        raise ValueError(f"unknown keys of a model's config: {', '.join(sorted(unknown))}")


def require_values(config: Any) -> None:
    """Raise ValueError where a size of a config is no whole number, or one that is out of bounds, and where another
    value is not of its field's kind."""
    for name, largest in LARGEST.items():
        size = getattr(config, name, 0)
        if type(size) is not int or not 0 <= size <= largest:
            raise ValueError(f"`{name}`: expected a whole number up to {largest:,}, found {as_written(size)}")
    for name, (expected, fits) in _kinds(config.__class__).items():
        value = getattr(config, name)
        if not fits(value):
            raise ValueError(f"`{name}`: expected {expected}, found {as_written(value)}")


@cache
def _kinds(config: type[Any]) -> Mapping[str, tuple[str, Callable[[Any], bool]]]:
    """Field → what is expected of it, and whether a value is that; of the fields that are words, texts, or numbers."""
    kinds: dict[str, tuple[str, Callable[[Any], bool]]] = {}
    hints = get_type_hints(config)
    for name in (each.name for each in fields(config)):
        members = (hints[name],) if get_origin(hints[name]) is Literal else get_args(hints[name])
        words = [word for member in members for word in get_args(member) if get_origin(member) is Literal]
        if words:
            allowed = [*words, None] if NoneType in members else words
            kinds[name] = (", ".join(words), allowed.__contains__)
        elif name.endswith("dropout"):
            kinds[name] = ("a number from 0 to 1", lambda value: _is_number(value) and 0 <= value <= 1)
        elif hints[name] is float:
            kinds[name] = ("a number", _is_number)
        elif hints[name] is str:
            kinds[name] = ("a text", lambda value: isinstance(value, str))
    return kinds


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)


def as_written(value: Any) -> str:
    """A value of a config as its JSON has it: a text in quotes, `null`, `true`; its first 40 characters."""
    return json.dumps(value, ensure_ascii=False, default=str)[:40]


@contextmanager
def located(file: Path) -> Iterator[None]:
    """For reading the values of a config: what is raised for one of the wrong kind becomes a ValueError that begins
    with the file, unless it begins with a file of its folder already."""
    try:
        yield
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        if str(error).startswith(f"{file.parent}"):
            raise
        message = f"`{error.args[0]}` is missing" if type(error) is KeyError else str(error)
        raise ValueError(f"{file}: {message}") from None


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
        if self.width == 0 and self.hidden % self.heads:
            raise ValueError(f"hidden {self.hidden} is not a multiple of heads {self.heads}")
        for name, labels in self.label_heads.items():
            if type(labels) is not int or not 2 <= labels <= 1 << 16 or "." in name:
                raise ValueError(
                    f"label_heads: expected a name and 2 labels or more, found {as_written({name: labels})}"
                )
        if self.encoder_layers + self.decoder_layers < 1:
            raise ValueError("a transformer needs encoder_layers or decoder_layers")
        for name in ("vocabulary", "hidden", "heads", "feedforward"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1, not {getattr(self, name)}")
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
        parts: dict[str, Callable[..., Any]] = {"fusion": FusionConfig, "rotary": RotaryConfig}
        read = {name: part(**values[name]) for name, part in parts.items() if values.get(name) is not None}
        return cls(**{**values, **read})


def is_ours(values: Mapping[str, Any]) -> bool:
    """Whether a model's `config.json` is one of kepipe's, of this version or another."""
    return str(values.get("format", "")).partition("/")[0] == FORMAT.partition("/")[0]


def read_format(folder: Path) -> str:
    """The format that a model folder's config states; empty for another library's. Raises ValueError where there is no
    config."""
    return str(_read(folder / CONFIG).get("format", ""))


def _read(file: Path) -> dict[str, Any]:
    try:
        values = read_json(file)
    except (OSError, ValueError) as error:
        raise ValueError(f"{file}: no readable config of a model ({error})") from None
    return values if isinstance(values, dict) else {}


def read_config(folder: Path) -> TransformerConfig:
    """The config of a model folder. Raises ValueError where there is none."""
    with located(folder / CONFIG):
        return TransformerConfig.from_json(read_values(folder, FORMAT))


def read_values(folder: Path, format: str) -> dict[str, Any]:
    """What a model folder's config says in this format. Raises ValueError for one of another format."""
    values, kind = _read(folder / CONFIG), format.partition("/")[0]
    found = str(values.pop("format", ""))
    if found.partition("/")[0] != kind:
        raise ValueError(f"not the config of a {kind} model folder")
    if found != format:
        raise ValueError("made by another version of kepipe: train the model again")
    return values
