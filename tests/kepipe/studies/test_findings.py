"""Values by arm and seed are compared in pairs, each arm with the reference and with every control."""

from __future__ import annotations

import pytest

from tests.support.studies import HIGH, LOW, MIDDLE, OFF, ON, WRONG, study


def test_differences_are_paired_by_seed() -> None:
    _, finding = study(graph_on=(0.5, 0.7, 0.9), graph_off=(0.4, 0.6, 0.8))
    apart = finding.between(ON, OFF)
    assert apart.by_seed == pytest.approx((0.1, 0.1, 0.1))
    assert apart.mean.value == pytest.approx(0.1)
    assert finding.of(ON).mean.high - finding.of(ON).mean.low > 0.9  # the seeds differ more than the arms


def test_arms_are_compared_with_the_reference_and_controls() -> None:
    design, finding = study(graph_on=HIGH, graph_off=LOW, graph_shuffled=MIDDLE)
    assert [(d.first, d.second) for d in finding.differences] == [(ON, OFF), (WRONG, OFF), (ON, WRONG)]
    assert design.treatments() == [ON]
