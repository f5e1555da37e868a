"""Training settings and learning rate schedules."""

from __future__ import annotations

import math
from typing import Any

import pytest
from pydantic import ValidationError

from kepipe.training.lr_schedule import learning_rate
from kepipe.training.settings import TrainingSettings


def rates(**values: Any) -> list[float]:
    settings = TrainingSettings(learning_rate=1.0, **values)
    steps = settings.steps
    return [learning_rate(step / steps, settings, 1 / steps) for step in range(steps)]


def test_linear_schedule_rises_and_falls_by_equal_steps() -> None:
    assert rates(steps=8, warmup=3, schedule="linear") == pytest.approx(
        [0.25, 0.5, 0.75, 1.0, 0.8, 0.6, 0.4, 0.2]
    )


def test_cosine_schedule_is_half_at_the_middle() -> None:
    found = rates(steps=10, warmup=2, schedule="cosine")
    assert found[2] == 1.0
    assert found[6] == pytest.approx(0.5)
    assert found[9] == pytest.approx(0.5 * (1 + math.cos(math.pi * 7 / 8)))


def test_inverse_sqrt_schedule_is_half_at_four_times_the_warmup() -> None:
    found = rates(steps=40, warmup=9, schedule="inverse-sqrt")
    assert found[9] == pytest.approx(1.0)
    assert found[39] == pytest.approx(0.5)


def test_flat_inverse_sqrt_schedule_is_that_of_t5() -> None:
    """1 / √max(n, 10,000) at update n of 2^19 (Raffel et al. 2020, section 3.1.2)."""
    steps = 2**19
    settings = TrainingSettings(
        steps=steps, learning_rate=0.01, warmup=10_000 / steps, schedule="flat-inverse-sqrt"
    )
    for update in (0, 1, 9_999, 10_000, 10_001, 40_000, steps - 1):
        assert learning_rate(update / steps, settings, 1 / steps) == pytest.approx(
            max(update, 10_000) ** -0.5
        )
    assert rates(steps=3, warmup=0, schedule="flat-inverse-sqrt")[0] == 1.0


def test_adafactor_is_refused_with_fsdp2() -> None:
    with pytest.raises(ValidationError, match="adafactor is not implemented for fsdp2: set `parallel: ddp`"):
        TrainingSettings(optimizer="adafactor", parallel="fsdp2")


def test_wsd_schedule_decays_over_the_last_fifth() -> None:
    found = rates(steps=20, warmup=4, schedule="wsd")
    assert found[4:17] == pytest.approx([1.0] * 13)
    assert found[17:] == pytest.approx([1 - math.sqrt(n / 4) for n in (1, 2, 3)])


def test_schedule_without_warmup_starts_at_the_peak() -> None:
    assert rates(steps=3, warmup=0, schedule="constant") == [1.0, 1.0, 1.0]


def test_warmup_share_is_a_fraction_of_all_steps() -> None:
    assert TrainingSettings(steps=200, warmup=0.1).warmup_share() == 20 / 200
    assert TrainingSettings(steps=200, warmup=30).warmup_share() == 30 / 200
    assert TrainingSettings(steps=25, warmup=0.1).warmup_share() == 2 / 25, "whole steps"


def test_time_budget_replaces_steps() -> None:
    settings = TrainingSettings.model_validate({"budget": "1h30m", "warmup": 0.1, "learning_rate": 1.0})
    assert settings.budget == 5400.0
    assert [learning_rate(share, settings) for share in (0.0, 0.05, 0.1, 0.55, 1.0)] == pytest.approx(
        [0.0, 0.5, 1.0, 0.5, 0.0]
    )


def test_batch_ramp_doubles_micro_batches() -> None:
    settings = TrainingSettings(accumulate=8, batch_ramp=0.6)
    assert [settings.parts_at(share / 10) for share in range(11)] == [1, 1, 2, 2, 4, 4, 8, 8, 8, 8, 8]
    assert TrainingSettings(batch_tokens=1200, accumulate=12, batch_ramp=0.5).ramp() == [3, 6, 12]
    assert TrainingSettings(batch_tokens=600, accumulate=6).ramp() == [6]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"batch_tokens": 100, "accumulate": 3}, "multiple of accumulate"),
        ({"warmup": 2.5}, "whole number"),
        ({"betas": (0.9, 1.0)}, "betas"),
        ({"stepz": 3}, "stepz"),
        ({"budget": "10"}, "length of time"),
        ({"budget": 600.0}, "length of time"),
        ({"budget": "0s"}, "greater than 0"),
        ({"budget": "10m", "steps": 100}, "mutually exclusive"),
        ({"budget": "10m", "warmup": 100}, "share below 1"),
        ({"optimizer": "muonn"}, "'adafactor' or 'adagrad'"),
        ({"batch_ramp": 0.5}, "even number of parts"),
        ({"batch_ramp": 0.5, "accumulate": 8, "processes": 2}, "set accumulate .8. to 16"),
    ],
)
def test_invalid_settings_are_rejected(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        TrainingSettings(**values)


def test_actions_due_after_each_step() -> None:
    settings = TrainingSettings(steps=12, log_every=2, eval_every=3, checkpoint_every=5)
    due = {step: settings.actions_at(step, step == 12) for step in range(1, 13)}
    assert due[1] == set()
    assert due[2] == {"record"}
    assert due[3] == {"record", "measure"}
    assert due[5] == {"record", "save"}
    assert due[12] == {"record", "measure"}, "after the last step the model itself is saved"
