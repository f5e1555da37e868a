"""The table of transformer families: the parts, stacks and published sizes of each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from kepipe.models.prompt_styles import PromptStyle

Stacks = Literal["encoder", "decoder", "encoder-decoder"]


@dataclass(frozen=True, kw_only=True)
class RotaryConfig:
    """Rotary positions (Su et al. 2021), and layers with local attention (Warner et al. 2024, "Smarter, Better, Faster,
    Longer", §2.1). Layers 0, `every`, 2 · `every`, … have global attention and base `theta`; the others see `window` /
    2 tokens to either side, and have base `local_theta`."""

    theta: float
    local_theta: float
    window: int
    every: int

    def __post_init__(self) -> None:
        if self.every < 1 or self.window < 2:
            raise ValueError(f"expected every from 1 and window from 2, not {self.every} and {self.window}")

    def local_layers(self, layers: int) -> tuple[int, ...]:
        """Numbers, from 0, of the layers with local attention."""
        return tuple(number for number in range(layers) if number % self.every)


class Size(NamedTuple):
    """Layers (of each stack that the family has), hidden, heads, feed-forward, head width (0: hidden / heads)."""

    layers: int
    hidden: int
    heads: int
    feedforward: int
    width: int = 0


MINIATURES = {
    "tiny": Size(2, 128, 2, 512),
    "mini": Size(4, 256, 4, 1024),
    "small": Size(4, 512, 8, 2048),
    "medium": Size(8, 512, 8, 2048),
}
"""Turc et al. 2019, "Well-Read Students Learn Better": BERT's small sizes, used for other families too."""

BASE_AND_LARGE = {"base": Size(12, 768, 12, 3072), "large": Size(24, 1024, 16, 4096)}


Published = Mapping[str, Any] | str
"""The training settings of a family's publication that differ from the defaults, without steps and batch; or why there
are none, as a clause."""


@dataclass(frozen=True)
class Family:
    """A row: choices of parts, stacks, and published sizes."""

    parts: Mapping[str, Any]
    sizes: Mapping[str, Size]
    encoder: bool = True
    decoder: bool = False
    begins_with_cls: bool = False
    """Whether rows begin with [CLS]."""
    prompt_style: PromptStyle | None = None
    """How a model of the family is prompted by default; None: it answers from source to target."""
    start: Literal["sep", "pad"] | None = None
    """The special token with which the decoder's input begins, in an encoder-decoder."""
    offset_by_pad: bool = False
    """Whether positions begin after the id of the padding token."""
    scaled_residuals: bool = False
    """Whether first weights of projections into the residual stream shrink with depth (of pre-norm models)."""
    t5_init: bool = False
    """Whether first weights are drawn as T5's."""
    published: Published = "it has no publication"
    """Published training settings of size "base"."""
    recipe: Mapping[str, Any] = field(default_factory=dict)
    """Settings of the recipe "default" that differ from the defaults, where others worked better (docs/training.md)."""

    @property
    def stacks(self) -> Stacks:
        """The stacks that it has."""
        if not self.encoder:
            return "decoder"
        return "encoder-decoder" if self.decoder else "encoder"


_MASK_30 = {"objective": {"name": "mlm", "mlm_probability": 0.3}}
_MUON_MASK_30 = {"optimizer": "muon", "learning_rate": 3e-3, **_MASK_30}
_T5_TRAINING = {  # 1 / √max(n, 10,000) at update n of 2^19
    "optimizer": "adafactor",
    "learning_rate": 0.01,
    "warmup": 10_000 / 2**19,
    "schedule": "flat-inverse-sqrt",
    "weight_decay": 0.0,
    "max_grad_norm": 0.0,
}
_BERT_HEAD = {"transform": True, "output_bias": True, "pooler": True}
_T5 = {
    "positions": 0,
    "norm": "rms",
    "norm_place": "pre",
    "norm_eps": 1e-6,
    "activation": "relu",
    "bias": False,
    "scaled_scores": False,
    "tied_scale": True,
    "start": 0,
}

FAMILIES: Mapping[str, Family] = {
    # Devlin et al. 2019
    "bert": Family(
        {**_BERT_HEAD, "segments": 2, "norm_eps": 1e-12, "embedding_norm": True, "next_sentence": True},
        {**MINIATURES, **BASE_AND_LARGE},
        begins_with_cls=True,
        published={"learning_rate": 1e-4, "warmup": 0.01, "betas": (0.9, 0.999)},  # appendix A.2
        recipe=_MUON_MASK_30,
    ),
    # Liu et al. 2019: no next sentence; positions begin after the row of padding
    "roberta": Family(
        {
            **_BERT_HEAD,
            "pooler": False,
            "transform_activation": "gelu",
            "segments": 1,
            "positions": 512,
            "position_offset": 2,
            "embedding_norm": True,
            "pad": 1,
        },
        {**MINIATURES, **BASE_AND_LARGE},
        begins_with_cls=True,
        offset_by_pad=True,
        published={"learning_rate": 6e-4, "warmup": 0.048, "max_grad_norm": 0.0},  # table 9
        recipe=_MUON_MASK_30,
    ),
    # Warner et al. 2024; the small sizes have as many weights as BERT's
    "modernbert": Family(
        {
            "positions": 8192,
            "rotary": RotaryConfig(theta=160_000.0, local_theta=10_000.0, window=128, every=3),
            "norm_place": "pre",
            "embedding_norm": True,
            "gated": True,
            "bias": False,
            "transform": True,
            "output_bias": True,
        },
        {
            "tiny": Size(2, 128, 2, 352),
            "mini": Size(4, 256, 4, 704),
            "small": Size(4, 512, 8, 1376),
            "medium": Size(8, 512, 8, 1376),
            "base": Size(22, 768, 12, 1152),
            "large": Size(28, 1024, 16, 2624),
        },
        begins_with_cls=True,
        scaled_residuals=True,
        published={
            "learning_rate": 8e-4,
            "warmup": 0.002,
            "schedule": "wsd",
            "weight_decay": 1e-5,
            **_MASK_30,
        },  # table 3; section 2.2.2 for the masking
        recipe=_MUON_MASK_30,
    ),
    # Radford et al. 2019; `norm: post` gives GPT-1 (Radford et al. 2018)
    "gpt2": Family(
        {"positions": 1024, "norm_place": "pre", "activation": "gelu_tanh"},
        {
            "tiny": MINIATURES["tiny"],
            "mini": MINIATURES["mini"],
            "small": Size(12, 768, 12, 3072),
            "medium": Size(24, 1024, 16, 4096),
            "large": Size(36, 1280, 20, 5120),
            "xl": Size(48, 1600, 25, 6400),
        },
        encoder=False,
        decoder=True,
        prompt_style="append",
        scaled_residuals=True,
        published={  # Brown et al. 2020, table 2.1 and appendix B: the report on GPT-2 does not say
            "learning_rate": 6e-4,
            "warmup": 0.00125,
            "schedule": "cosine",
            "weight_decay": 0.1,
            "betas": (0.9, 0.95),
            "epsilon": 1e-8,
        },
    ),
    # Lewis et al. 2020; MASS (Song et al. 2019) is trained on the same stack
    "bart": Family(
        {
            "positions": 1024,
            "position_offset": 2,
            "embedding_norm": True,
            "output_bias": True,
            "pad": 1,
            "start": 2,
        },
        {**MINIATURES, "base": Size(6, 768, 12, 3072), "large": Size(12, 1024, 16, 4096)},
        decoder=True,
        begins_with_cls=True,
        prompt_style="infill",
        start="sep",
        published="the paper (Lewis et al. 2020, section 5.1) gives a batch of 8,000 rows and 500,000 steps, but no "
        "learning rate, warm-up or optimiser; those of its code are for fine-tuning",
    ),
    # Raffel et al. 2020; tiny and mini: Tay et al. 2022, "Scale Efficiently"
    "t5": Family(
        _T5,
        {
            "tiny": Size(4, 256, 4, 1024, 32),
            "mini": Size(4, 384, 8, 1536, 32),
            "small": Size(6, 512, 8, 2048, 64),
            "base": Size(12, 768, 12, 3072, 64),
            "large": Size(24, 1024, 16, 4096, 64),
        },
        decoder=True,
        prompt_style="sentinel",
        start="pad",
        t5_init=True,
        published=_T5_TRAINING,  # sections 3.1.2 and 3.1.3
    ),
    # released 2020: gated feed-forward, an output matrix of its own
    "t5-v1.1": Family(
        {**_T5, "activation": "gelu_tanh", "gated": True, "tied": False, "tied_scale": False},
        {
            "tiny": Size(4, 256, 4, 512, 64),
            "mini": Size(4, 384, 6, 768, 64),
            "small": Size(8, 512, 6, 1024, 64),
            "base": Size(12, 768, 12, 2048, 64),
            "large": Size(24, 1024, 16, 2816, 64),
        },
        decoder=True,
        prompt_style="sentinel",
        start="pad",
        t5_init=True,
        published=_T5_TRAINING,  # Xue et al. 2021 (mT5), section 3.2: "the T5.1.1 recipe"
    ),
}


def family_of(name: str) -> Family:
    """The row of a model's `config.family`; a row of defaults for a family that is not in the table."""
    return FAMILIES.get(name, Family({}, {}))


if TYPE_CHECKING:
    FamilyName = str
else:
    FamilyName = Literal[tuple(FAMILIES)]
    """The name of a family, as the type of a config's field."""
