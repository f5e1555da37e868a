"""Default settings of objectives are the published ones; shares are between 0 and 1."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from kepipe.data.batch import TokenRows
from kepipe.noise.sentences import Denoising
from kepipe.objectives import table
from kepipe.objectives.batches import held_out_batches
from kepipe.objectives.masked_lm import MaskedCollator
from kepipe.objectives.mixture import Share
from kepipe.objectives.unilm import Modes
from tests.support.rows import MASK, TOKENIZER, rows

PUBLISHED: dict[str, dict[str, float]] = {
    # Devlin et al. 2019, §3.1; their program makes ten copies of the text.
    "mlm": {
        "mlm_probability": 0.15,
        "mask_prob": 0.8,
        "random_prob": 0.1,
        "copies": 10,
        "next_sentence": True,
    },
    # Cui et al. 2020: found fakes are told apart from the text by a second loss.
    "dlm": {"tell_fakes": True},
    # Gao et al. 2021, §3.
    "simcse": {"temperature": 0.05},
    # Sun et al. 2020, §4.2.2.
    "sentence-reordering": {"segments": 3},
    # Joshi et al. 2020, §3.1: lengths of a geometric distribution with p = 0.2, cut at 10.
    "span-masking": {"mean_span": 3.8},
    # Song et al. 2019, §3.2 and §4.1.
    "mass": {"span_fraction": 0.5, "mask_prob": 0.8, "random_prob": 0.1},
    # Lewis et al. 2020, §5.1: all sentences permuted, spans over 30% of the tokens; nothing else.
    "denoising": {"permute": 1.0, "mask": 0.0, "delete": 0.0, "infill": 0.3, "mean_span": 3.0, "rotate": 0.0},
    # Raffel et al. 2020, §3.1.4.
    "span-corruption": {"noise_density": 0.15, "mean_span": 3.0},
    # Yang et al. 2019, §2.3 and §3.1.
    "permutation-lm": {"partial": 6, "longest_span": 5, "left_to_right": 0.0, "from_right": False},
    # Dong et al. 2019, §2.6.
    "unilm": {"longer": 0.2, "next_sentence": True, "mode_segments": False},
}
"""Objective → settings as its paper has them."""
NO_SHARES = {"mean_span", "weight", "temperature", *Modes.model_fields}
"""Numbers that are no share of anything."""


def sections() -> list[type[Any]]:
    return [*{row.section for row in table.TABLE.values()}, Share]


def shares() -> list[tuple[type[Any], str]]:
    return sorted(
        (
            (section, name)
            for section in sections()
            for name, field in section.model_fields.items()
            if field.annotation is float and name not in NO_SHARES
        ),
        key=lambda pair: (pair[0].__name__, pair[1]),
    )


@pytest.mark.parametrize("name", PUBLISHED)
def test_default_settings_are_the_published_ones(name: str) -> None:
    section = table.read(name)
    assert {key: getattr(section, key) for key in PUBLISHED[name]} == PUBLISHED[name]


@pytest.mark.parametrize("name", PUBLISHED)
def test_objective_is_built_from_its_defaults(name: str) -> None:
    assert table.build(table.read(name), TOKENIZER).criterion.terms


def test_noise_and_collator_defaults_are_the_published_ones() -> None:
    noise = Denoising()
    assert {key: getattr(noise, key) for key in PUBLISHED["denoising"]} == PUBLISHED["denoising"]
    clean = rows()
    collator = MaskedCollator(lambda clean, *_: ~clean.special, 0.15, MASK, TOKENIZER.ordinary)
    batch = collator(clean, np.random.default_rng(0), 0.0)
    assert batch.labels is not None
    assert len(batch.labels) == (~clean.special).sum()
    for key in ("mask_prob", "random_prob", "copies"):
        assert getattr(collator, key) == PUBLISHED["mlm"][key]
    assert (collator.schedule, collator.learns_row_labels) == ("dynamic", True)
    modes = Modes()  # Dong et al. 2019, §2.4: a third, a third, a sixth, a sixth
    assert (modes.full, modes.prefix, modes.causal, modes.backward) == (2, 2, 1, 1)


def test_prefix_and_mixture_defaults() -> None:
    prefix: Any = table.read("prefix-lm")
    assert (prefix.shortest, prefix.longest) == (0.0, 0.9)
    part = Share.model_validate({"objective": "mlm"})
    assert (part.weight, part.joins) == (1.0, 0.0)
    mixture: Any = table.read({"name": "mixture", "of": [{"objective": "mlm"}]})
    assert (mixture.schedule, mixture.tasks) == ("joint", False)


@pytest.mark.parametrize(("section", "name"), shares(), ids=lambda value: getattr(value, "__name__", value))
def test_share_outside_0_to_1_is_rejected(section: type[Any], name: str) -> None:
    given = {"objective": "mlm"} if section is Share else {}
    for value in (-0.01, 1.01):
        with pytest.raises(ValidationError, match=name):
            section.model_validate({**given, name: value})


OPEN = {
    "mlm_probability": (0, 1),
    "noise_density": (0, 1),
    "span_fraction": (0,),
    "shortest": (1,),
    "longest": (1,),
    "joins": (1,),
}
"""Share → the ends of 0..1 that it may not have."""


def is_refused(section: type[Any], name: str, value: float) -> bool:
    given = {"objective": "mlm"} if section is Share else {}
    try:
        section.model_validate({**given, name: value})
    except ValidationError as error:
        return any(each["loc"] == (name,) for each in error.errors())
    return False


@pytest.mark.parametrize(("section", "name"), shares(), ids=lambda value: getattr(value, "__name__", value))
def test_every_share_from_0_to_1_is_accepted(section: type[Any], name: str) -> None:
    refused = tuple(value for value in (0, 0.01, 0.5, 0.99, 1) if is_refused(section, name, value))
    assert refused == OPEN.get(name, ())


@pytest.mark.parametrize(
    ("name", "setting"), [("denoising", "mean_span"), ("simcse", "temperature"), ("mixture", "weight")]
)
def test_positive_number_may_be_small_and_not_0(name: str, setting: str) -> None:
    section = Share if name == "mixture" else table.TABLE[name].section
    assert is_refused(section, setting, 0)
    assert not is_refused(section, setting, 0.01)


RANGES = [
    ("mlm", "copies", 1, None),
    ("span-masking", "mean_span", 1, None),
    ("span-corruption", "mean_span", 1, None),
    ("sentence-reordering", "segments", 2, 5),
    ("permutation-lm", "partial", 1, 100),
    ("permutation-lm", "longest_span", 1, 100),
]
"""Objective, setting, its smallest and its largest value."""


@pytest.mark.parametrize(("name", "setting", "least", "most"), RANGES)
def test_a_number_is_within_its_range(name: str, setting: str, least: int, most: int | None) -> None:
    within, beyond = [least], [least - 1]
    if most is not None:
        within, beyond = [*within, most], [*beyond, most + 1]
    for value in within:
        assert getattr(table.read({"name": name, setting: value}), setting) == value
    for value in beyond:
        with pytest.raises(ValueError, match=setting):
            table.read({"name": name, setting: value})


@pytest.mark.parametrize("name", ["mlm", "mass"])
def test_mask_prob_plus_random_prob_is_at_most_1(name: str) -> None:
    assert table.read({"name": name, "mask_prob": 0.7, "random_prob": 0.3})
    with pytest.raises(ValueError, match="more than 1"):
        table.read({"name": name, "mask_prob": 0.7, "random_prob": 0.31})


def test_modes_need_a_weight_above_zero() -> None:
    nothing = dict.fromkeys(Modes.model_fields, 0)
    for name in Modes.model_fields:
        assert getattr(Modes.model_validate(nothing | {name: 1}), name) == 1
    with pytest.raises(ValidationError, match="above 0"):
        Modes.model_validate(nothing)
    with pytest.raises(ValidationError):
        Modes(full=-1)
    for name in Modes.model_fields:
        assert not is_refused(Modes, name, 0)
        assert is_refused(Modes, name, -0.01)


def test_held_out_text_is_corrupted_as_it_always_was() -> None:
    """Another seed would make losses of earlier runs incomparable."""
    seeds: list[int] = []

    def collate(clean: TokenRows, rng: np.random.Generator, _progress: float) -> Any:
        seeds.append(int(rng.integers(2**60)))
        return objective.collate(clean, rng, 1.0)

    objective = table.build(table.read("mlm"), TOKENIZER)
    assert len(held_out_batches(replace(objective, collate=collate), lambda _: rows(), 2)) == 2
    assert seeds == [int(np.random.default_rng([20_190_419, n]).integers(2**60)) for n in range(2)]


def test_mixture_of_nothing_is_rejected() -> None:
    with pytest.raises(ValidationError, match="at least 1 item"):
        table.read({"name": "mixture"})
