"""Several language models as one: p(w) = Σᵢ λᵢ pᵢ(w), token by token (linear interpolation; Jelinek & Mercer 1980)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from kepipe.arrays import Bools, Floats, Ints
from kepipe.models.config import CONFIG, read_values
from kepipe.models.config_values import as_written, is_number, located, require_known

if TYPE_CHECKING:
    from kepipe.models.protocols import Capability, LanguageModel
    from kepipe.tokenization.tokenizer import Tokenizer


@dataclass(frozen=True, kw_only=True)
class InterpolationConfig:
    """`members`: folders within the model's own; `weights`: λ of each. They add up to 1."""

    format: ClassVar[str] = "kepipe-interpolation/1"

    members: tuple[str, ...]
    weights: tuple[float, ...]

    def __post_init__(self) -> None:
        if len(self.members) < 2 or len(self.weights) != len(self.members):
            raise ValueError(f"expected two or more members, each with a weight, found {len(self.members)}")
        if any(Path(member).name != member or member in (".", "..") for member in self.members):
            raise ValueError("`members`: expected names of folders in the model's own")
        if (
            any(not is_number(weight) or weight <= 0 for weight in self.weights)
            or abs(sum(self.weights) - 1) > 1e-6
        ):
            raise ValueError(
                f"weights: expected numbers above 0 whose sum is 1, found {as_written(list(self.weights))}"
            )

    @property
    def capabilities(self) -> frozenset[Capability]:
        """See `ModelConfig`."""
        return frozenset({"language-model"})

    def to_json(self) -> dict[str, Any]:
        """Plain values for `config.json`."""
        return {"format": self.format, **asdict(self)}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """The inverse of `to_json`. Raises ValueError for keys that this version does not know."""
        require_known(values, cls)
        return cls(members=tuple(values["members"]), weights=tuple(values["weights"]))


def read_interpolation_config(folder: Path) -> InterpolationConfig:
    """The config of an interpolation's folder. Raises ValueError where there is none."""
    with located(folder / CONFIG):
        return InterpolationConfig.from_json(read_values(folder, InterpolationConfig.format))


@dataclass(frozen=True)
class Interpolation:
    """A `NextTokenModel` of an `OwnVocabulary`: models over the same tokenizer, and the weight of each."""

    members: tuple[LanguageModel, ...]
    weights: tuple[float, ...]

    @property
    def tokenizer(self) -> Tokenizer:
        """See `LanguageModel`."""
        return self.members[0].tokenizer

    def log_likelihoods(
        self, prompts: Sequence[Ints], rows: Sequence[int], targets: Sequence[Ints]
    ) -> Floats:
        """See `LanguageModel`."""
        lengths_N = np.array([len(target) for target in targets])
        mixed_NU = self._mixed([member.log_likelihoods(prompts, rows, targets) for member in self.members])
        mixed_NU[np.arange(mixed_NU.shape[1]) >= lengths_N[:, None]] = 0.0
        return mixed_NU

    def log_probabilities(self, texts: Sequence[Ints]) -> Floats:
        """See `NextTokenModel`. Raises ValueError where a member does not tell its next token."""
        from kepipe.models.protocols import NextTokenModel

        found = [
            member.log_probabilities(texts) for member in self.members if isinstance(member, NextTokenModel)
        ]
        if len(found) < len(self.members):
            raise ValueError(
                "a model of this interpolation says how likely a text is, and does not write one"
            )
        return self._mixed(found)

    @property
    def end(self) -> int:
        """See `NextTokenModel`: the token that a member has; −1 where none has one."""
        return max(getattr(member, "end", -1) for member in self.members)

    def generate(self, prompts: Sequence[Ints], *, limit: int) -> list[Ints]:
        """See `TextGenerator`."""
        from kepipe.models.next_token import continue_texts, greedy

        return continue_texts(self, prompts, limit, greedy)

    def unknown(self, tokens_T: Ints) -> Bools:
        """See `OwnVocabulary`: what is unknown to one of the members."""
        from kepipe.models.prompting import unknown

        found: Bools = np.logical_or.reduce([unknown(member, tokens_T) for member in self.members])
        return found

    def _mixed(self, logs: Sequence[Floats]) -> Floats:
        """ln Σᵢ λᵢ exp(logᵢ)."""
        with np.errstate(divide="ignore"):
            weighted = [np.log(weight) + log for weight, log in zip(self.weights, logs, strict=True)]
        mixed: Floats = reduce(np.logaddexp, weighted)
        return mixed
